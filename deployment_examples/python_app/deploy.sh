#!/bin/sh
# Deploys python_app to the device.
# Double-click it, or run it with further options of o3r-deploy, such as `--IP 192.168.0.70`.
# It needs the program o3r-deploy beside it or on the PATH, and ends with its exit code.
# O3R_NO_PAUSE=1 never waits for Enter at the end.

here=$(cd "$(dirname "$0")" && pwd) || exit 1

# A terminal that was opened for this script alone would close before anybody has read a word.
finish() {
    if [ -t 0 ] && [ -t 1 ] && [ -z "${O3R_NO_PAUSE:-}" ]; then
        parent=$(ps -o comm= -p "$PPID" 2>/dev/null || cat "/proc/$PPID/comm" 2>/dev/null)
        case $parent in
            *sh | sudo | su | make | tmux* | screen* | script | timeout) ;;
            *)
                printf '\nPress Enter to close this window. '
                read -r _
                ;;
        esac
    fi
    exit "$1"
}

if [ -f "$here/o3r-deploy" ]; then
    program=$here/o3r-deploy
    [ -x "$program" ] || chmod +x "$program"
elif command -v o3r-deploy >/dev/null; then
    program=o3r-deploy
else
    echo "The program o3r-deploy is missing: copy it into $here, then try again." >&2
    finish 127
fi

# Gives this computer a key to the device that the options name.
trust() {
    left=$#
    while [ "$left" -gt 0 ]; do
        word=$1
        shift
        left=$((left - 1))
        case $word in
            --IP | --ip | --port | --user | --identity)
                [ "$left" -gt 0 ] || break
                set -- "$@" "$word" "$1"
                shift
                left=$((left - 1))
                ;;
            --IP=* | --ip=* | --port=* | --user=* | --identity=*) set -- "$@" "$word" ;;
        esac
    done
    "$program" trust --config "$here/o3r-deploy.yaml" "$@"
}

# Ctrl-C is for the program; this script stays to say how it ended.
trap : INT
"$program" --config "$here/o3r-deploy.yaml" "$@"
code=$?

# A device that does not know this computer, or the other way round: whoever sits here may change that.
if [ -t 0 ] && { [ "$code" -eq 5 ] || [ "$code" -eq 6 ]; }; then
    printf '\nGive this computer a key to the device now (o3r-deploy trust)? [y/N] ' >&2
    read -r answer
    case $answer in
        [yY]*)
            trust "$@" && "$program" --config "$here/o3r-deploy.yaml" "$@"
            code=$?
            ;;
    esac
fi

case $code in
    0) hint="Done, without errors." ;;
    2) hint="An option or the file o3r-deploy.yaml is wrong; the message above tells where. Nothing was changed." ;;
    3) hint="A file is missing or cannot be read or written; the message above names it. Is python_app.tar in this folder? build.sh makes it." ;;
    4) hint="The device does not answer. Is it switched on (it takes up to 200 seconds to start) and the cable plugged in? This computer needs an address such as 192.168.0.10, but never that of the device. If the device has another address: deploy.sh --IP ADDRESS" ;;
    5) hint="The device is not known to this computer, or another one has its address. If that is as it should be, because the device is new, was exchanged, updated or reset: do what the line with \`hint:\` above says, then this again. If not, do not go on." ;;
    6) hint="The device does not accept your key. Run \`o3r-deploy trust\` once, then this again." ;;
    7) hint="A command failed on the device; its last lines are above." ;;
    8) hint="python_app.tar is not an image for this device. Make it anew with build.sh." ;;
    9) hint="The device is full. Remove what is not needed from /home/oem/share, and images that no container uses." ;;
    10) hint="The application does not run as it should; its last lines are above. Is config/python_app.ini right?" ;;
    11) hint="Something would be removed from the device, and nobody agreed. Answer the question, or: deploy.sh --yes" ;;
    12) hint="The connection broke off. Check the cable and start this again: what is done already is not done twice." ;;
    13) hint="The device did not take a setting. If it has just been switched on, wait until it has started, then try again." ;;
    14) hint="The application ended with an error; its last lines are above." ;;
    15) hint="Something on the device is missing, or differs from what is asked for; the message above names it. Nothing was replaced." ;;
    16) hint="Somebody else deploys to this device at the moment, or its application must not be disturbed. Try again later." ;;
    17) hint="The new version did not run; the previous one is back and runs. Hand the log file named above to its author." ;;
    18) hint="Some files on the device could not be read and are not here; the message above names them. All else is done." ;;
    126) hint="This computer does not let $program run: copy the folder to your own disk, and see that it is the program for this computer." ;;
    130) hint="You stopped it. It is safe to start it again." ;;
    *) hint="Read the last lines above. The whole log is in ~/o3r_logs/Deployments." ;;
esac
# stdout is the program's alone.
printf '\n%s\n' "$hint" >&2
[ "$code" -eq 0 ] || printf '(exit code %s)\n' "$code" >&2
finish "$code"

# Deploys python_app to the device.
# Right-click it and choose "Run with PowerShell", or run it with further options of o3r-deploy:
#     powershell -ExecutionPolicy Bypass -File deploy.ps1 --IP 192.168.0.70
# It needs the program o3r-deploy.exe beside it or on the PATH, and ends with its exit code.
# O3R_NO_PAUSE=1 in the environment never waits for Enter at the end.

# A window that Explorer opened for this script alone would close before anybody has read a word.
function Wait-WhenDoubleClicked {
    if ($env:O3R_NO_PAUSE -or [Console]::IsInputRedirected -or $env:OS -ne 'Windows_NT') { return }
    try {
        $own = Get-CimInstance Win32_Process -Filter "ProcessId=$PID" -ErrorAction Stop
        $parent = Get-Process -Id $own.ParentProcessId -ErrorAction Stop
    } catch {
        return
    }
    if ($parent.ProcessName -eq 'explorer') { [void](Read-Host "`nPress Enter to close this window") }
}

$program = $null
foreach ($name in 'o3r-deploy.exe', 'o3r-deploy') {
    $beside = Join-Path $PSScriptRoot $name
    if (-not $program -and (Test-Path -LiteralPath $beside -PathType Leaf)) { $program = $beside }
}
if (-not $program) {
    $command = Get-Command o3r-deploy -CommandType Application -ErrorAction SilentlyContinue | Select-Object -First 1
    if ($command) { $program = $command.Path }
}
if (-not $program) {
    [Console]::Error.WriteLine("The program o3r-deploy.exe is missing: copy it into $PSScriptRoot, then try again.")
    Wait-WhenDoubleClicked
    exit 127
}

$code = 126
try {
    & $program --config (Join-Path $PSScriptRoot 'o3r-deploy.yaml') @args
    $code = $LASTEXITCODE
    # A device that does not know this computer, or the other way round: whoever sits here may change that.
    if (($code -eq 5 -or $code -eq 6) -and -not [Console]::IsInputRedirected) {
        if ((Read-Host "`nGive this computer a key to the device now (o3r-deploy trust)? [y/N]") -match '^[yY]') {
            $device = @()
            for ($at = 0; $at -lt $args.Count; $at++) {
                if ($args[$at] -match '^--(IP|port|user|identity)=') { $device += $args[$at] }
                elseif ($args[$at] -match '^--(IP|port|user|identity)$') { $device += $args[$at], $args[$at + 1]; $at++ }
            }
            & $program trust --config (Join-Path $PSScriptRoot 'o3r-deploy.yaml') @device
            $code = $LASTEXITCODE
            if ($code -eq 0) {
                & $program --config (Join-Path $PSScriptRoot 'o3r-deploy.yaml') @args
                $code = $LASTEXITCODE
            }
        }
    }
} catch {
    [Console]::Error.WriteLine("This computer does not let $program run: $($_.Exception.Message)")
}

$hint = switch ($code) {
    0 { 'Done, without errors.' }
    2 { 'An option or the file o3r-deploy.yaml is wrong; the message above tells where. Nothing was changed.' }
    3 { 'A file is missing or cannot be read or written; the message above names it. Is python_app.tar in this folder? build.sh makes it, on Linux.' }
    4 { 'The device does not answer. Is it switched on (it takes up to 200 seconds to start) and the cable plugged in? This computer needs an address such as 192.168.0.10, but never that of the device. If the device has another address: deploy.ps1 --IP ADDRESS' }
    5 { 'The device is not known to this computer, or another one has its address. If that is as it should be, because the device is new, was exchanged, updated or reset: do what the line with ''hint:'' above says, then this again. If not, do not go on.' }
    6 { 'The device does not accept your key. Run ''o3r-deploy trust'' once, then this again.' }
    7 { 'A command failed on the device; its last lines are above.' }
    8 { 'python_app.tar is not an image for this device. Make it anew with build.sh, on Linux.' }
    9 { 'The device is full. Remove what is not needed from /home/oem/share, and images that no container uses.' }
    10 { 'The application does not run as it should; its last lines are above. Is config/python_app.ini right?' }
    11 { 'Something would be removed from the device, and nobody agreed. Answer the question, or: deploy.ps1 --yes' }
    12 { 'The connection broke off. Check the cable and start this again: what is done already is not done twice.' }
    13 { 'The device did not take a setting. If it has just been switched on, wait until it has started, then try again.' }
    14 { 'The application ended with an error; its last lines are above.' }
    15 { 'Something on the device is missing, or differs from what is asked for; the message above names it. Nothing was replaced.' }
    16 { 'Somebody else deploys to this device at the moment, or its application must not be disturbed. Try again later.' }
    17 { 'The new version did not run; the previous one is back and runs. Hand the log file named above to its author.' }
    18 { 'Some files on the device could not be read and are not here; the message above names them. All else is done.' }
    130 { 'You stopped it. It is safe to start it again.' }
    default { 'Read the last lines above. The whole log is in o3r_logs\Deployments in your home.' }
}
# stdout is the program's alone.
[Console]::Error.WriteLine("`n$hint")
if ($code -ne 0) { [Console]::Error.WriteLine("(exit code $code)") }
Wait-WhenDoubleClicked
exit $code

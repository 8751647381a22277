# ends what else works on the containers of an application
main() { let_go "$1" "$2"; }

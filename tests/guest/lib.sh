# For scripts of test guests: `section NAME COMMAND...` runs a command so that the host finds its
# output, exit code and time of end (seconds of uptime).
section() {
    section_name=$1
    shift
    echo "=== $section_name"
    ("$@") 2>&1
    section_code=$?
    read -r section_up section_idle </proc/uptime
    echo "=== $section_name: exit $section_code at $section_up"
}

# `await WHAT COMMAND` tries a command until it is true; after a minute it says that there is no WHAT, and ends the script.
await() {
    await_tries=0
    until eval "$2"; do
        await_tries=$((await_tries + 1))
        if [ $await_tries -ge 1200 ]; then
            echo "await: no $1 in a minute" >&2
            exit 1
        fi
        sleep 0.05
    done
}

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

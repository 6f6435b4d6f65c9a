# Telling the metadata service what happens, in the form of curtin's webhook, and ending at the first stage that fails.

state=/run/state

say() { echo "rehearse: $*"; }

# fail CODE SENTENCE: ends the stage. The code is compose's own; the sentence is for people.
fail() {
    echo "$1" >"$state/code"
    shift
    echo "$*" >"$state/why"
    echo "rehearse: $*" >&2
    exit 1
}

# note NAME TEXT: something the host wants to know whether or not the stage fails.
note() { tell progress "rehearse/$1" '' "$2"; }

# What ends up between quotes in JSON: one line of printable ASCII.
plain() { printf '%s' "$1" | tr '\n\t' '  ' | tr -cd ' -~' | tr '"\\' "'/" | cut -c 1-600; }

# tell EVENT NAME RESULT DESCRIPTION [LOG]
tell() {
    local result='' files='' header
    [ -z "$3" ] || result=", \"result\": \"$3\""
    if [ -n "${5:-}" ] && [ -s "$5" ]; then
        files=", \"files\": [{\"path\": \"$5\", \"encoding\": \"base64\", \"content\": \"$(tail -c 16000 "$5" | base64 -w 0)\"}]"
    fi
    header='Authorization: OAuth oauth_nonce="'$RANDOM$RANDOM$RANDOM'", oauth_timestamp="'$(date +%s)'", oauth_version="1.0"'
    header="$header, oauth_signature_method=\"PLAINTEXT\", oauth_consumer_key=\"$CONSUMER_KEY\""
    header="$header, oauth_token=\"$TOKEN_KEY\", oauth_signature=\"%26$TOKEN_SECRET\""
    printf '{"event_type": "%s", "origin": "curtin", "name": "%s", "description": "%s"%s%s}' \
        "$1" "$2" "$(plain "$4")" "$result" "$files" >"$state/event.json"
    wget --quiet --tries=3 --timeout=60 --output-document=/dev/null --header="$header" \
        --header='Content-Type: application/json' --post-file="$state/event.json" "$STATUS_URL" ||
        say "the event $2 was not taken"
}

# stage NAME COMMAND…: runs the command as a stage of curtin's; the job ends when it fails.
stage() {
    local name=$1 log="$state/$1.log" status
    shift
    rm -f "$state/code" "$state/why"
    say "stage $name"
    tell start "cmd-install/stage-$name" '' "stage $name"
    (set -e; "$@") 2>&1 </dev/null | tee "$log"
    status=${PIPESTATUS[0]}
    if [ "$status" = 0 ]; then
        tell finish "cmd-install/stage-$name" SUCCESS "stage $name"
        return
    fi
    tell finish "cmd-install/stage-$name" FAIL \
        "$(cat "$state/code" 2>/dev/null || echo rehearse.stage) $(cat "$state/why" 2>/dev/null || echo "status $status")" "$log"
    tell finish cmd-install FAIL 'installation failed'
    power_off
}

power_off() {
    say 'powering off'
    sync
    umount --recursive "$target" 2>/dev/null
    vgchange --quiet -an >/dev/null 2>&1
    sync
    busybox poweroff -f
    # The first process may not end.
    while :; do read -r _ </dev/zero; done
}

# eval "$(relevance completion bash)"
_relevance() {
    local line=${COMP_LINE:0:COMP_POINT}
    local word=${line##*[[:space:]]}  # all of it: readline cuts words at = and :, and $2 is what it will replace
    local cut=${word%"$2"} choice
    local -a before choices
    read -ra before <<< "${line%"$word"}"
    COMPREPLY=()
    if [[ $word == *=*/* ]]; then
        return  # a path: readline's own completion of files
    elif [[ ${before[1]} == run ]]; then
        mapfile -t choices < <(COMP_LINE="run${line#*[[:space:]]run}" "$1" run -sc query=bash 2> /dev/null | tr ' ' '\n')
    else
        mapfile -t choices < <("$1" "${before[@]:1}" --help 2> /dev/null |
            sed -nE 's/^  ([a-z0-9_.]+=).*/\1/p; s/^  ([a-z]+)  .*/\1/p')
    fi
    for choice in "${choices[@]}"; do
        [[ $choice == "$word"* && ${choice#"$cut"} ]] && COMPREPLY+=("${choice#"$cut"}")
    done
    [[ ${COMPREPLY[0]} == *[=./] ]] && compopt -o nospace
}
complete -o default -F _relevance relevance

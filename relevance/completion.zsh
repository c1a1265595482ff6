# eval "$(relevance completion zsh)", after compinit
_relevance() {
    local -a before=("${(@)words[2,CURRENT-1]}") choices
    if [[ $before[1] == run ]]; then
        choices=(${=$(COMP_LINE="$before $PREFIX" "$words[1]" run -sc query=bash 2> /dev/null)})
    else
        choices=(${(f)"$("$words[1]" "${before[@]}" --help 2> /dev/null |
            sed -nE 's/^  ([a-z0-9_.]+=).*/\1/p; s/^  ([a-z]+)  .*/\1/p')"})
    fi
    compadd -S '' -- ${choices:#$PREFIX} && return
    compset -P '*='
    _files
}
compdef _relevance relevance

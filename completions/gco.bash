_clap_complete_gco() {
    local IFS=$'\013'
    local _CLAP_COMPLETE_INDEX=${COMP_CWORD}
    local _CLAP_COMPLETE_COMP_TYPE=${COMP_TYPE}
    if compopt +o nospace 2> /dev/null; then
        local _CLAP_COMPLETE_SPACE=false
    else
        local _CLAP_COMPLETE_SPACE=true
    fi
    local words=("${COMP_WORDS[@]:0:COMP_CWORD}")
    local typed="${COMP_LINE:0:COMP_POINT}" word="${COMP_WORDS[COMP_CWORD]}"
    typed="${typed##*[[:space:]]}"
    while [[ "$typed" != "$word" && "$typed" == *"$word" && ${#words[@]} -gt 1 ]]; do
        word="${words[${#words[@]}-1]}$word"
        words=("${words[@]:0:${#words[@]}-1}")
    done
    if [[ "$typed" != "$word" ]]; then
        words=("${COMP_WORDS[@]:0:COMP_CWORD}")
        word="$2"
    fi
    words+=("$word")
    _CLAP_COMPLETE_INDEX=$(( ${#words[@]} - 1 ))
    COMPREPLY=( $( \
        _CLAP_IFS="$IFS" \
        _CLAP_COMPLETE_INDEX="$_CLAP_COMPLETE_INDEX" \
        _CLAP_COMPLETE_COMP_TYPE="$_CLAP_COMPLETE_COMP_TYPE" \
        _CLAP_COMPLETE_SPACE="$_CLAP_COMPLETE_SPACE" \
        COMPLETE="bash" \
        "gco" -- "${words[@]}" \
    ) )
    if [[ $? != 0 ]]; then
        unset COMPREPLY
    else
        COMPREPLY=("${COMPREPLY[@]#"${word%"$2"}"}")
    fi
    if [[ ${#COMPREPLY[@]} == 0 ]]; then
        :
    elif [[ $_CLAP_COMPLETE_SPACE == false ]] && [[ "${COMPREPLY-}" =~ [=/:]$ ]]; then
        compopt -o nospace
    fi
}
if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -o nospace -o bashdefault -o nosort -F _clap_complete_gco gco
else
    complete -o nospace -o bashdefault -F _clap_complete_gco gco
fi

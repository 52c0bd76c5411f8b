# bash completion for infer
_infer() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= word
    local verbs='chat models load unload status tokens embed'
    local output='--json --no-stream --show-reasoning --hide-reasoning --no-color --bus= --help --version'
    local generation='--system= --max-tokens= --temperature= --top-k= --top-p= --min-p= --repeat-penalty= --presence-penalty=
        --frequency-penalty= --seed= --stop= --reasoning= --priority= --timeout='

    # bash takes a word apart at "="
    if [[ $cur == '=' ]]; then
        cur=
    elif [[ $prev == '=' ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    case $prev in
        --bus) COMPREPLY=($(compgen -W 'user system' -- "$cur")); return ;;
        --reasoning) COMPREPLY=($(compgen -W 'none low medium high' -- "$cur")); return ;;
        --priority) COMPREPLY=($(compgen -W 'interactive normal background' -- "$cur")); return ;;
        --system | --stop | --timeout | --seed | --max-tokens | --temperature | --top-? | --min-p | --*-penalty) return ;;
    esac

    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $word in
            -*) ;;
            *) verb=$word; break ;;
        esac
    done
    case $verb in
        '') COMPREPLY=($(compgen -W "$verbs $output $generation" -- "$cur")) ;;
        load) COMPREPLY=($(compgen -W "$(infer models 2>/dev/null | sed -n '2,$s/^...\([^ ]*\).*/\1/p')" -- "$cur")) ;;
        models | status | tokens | embed) COMPREPLY=($(compgen -W '--json --no-color --bus= --help' -- "$cur")) ;;
        unload) COMPREPLY=($(compgen -W '--bus= --help' -- "$cur")) ;;
        *) [[ $cur == -* ]] && COMPREPLY=($(compgen -W "$output $generation" -- "$cur")) ;;
    esac
    [[ ${COMPREPLY-} == *= ]] && compopt -o nospace
}
complete -F _infer infer

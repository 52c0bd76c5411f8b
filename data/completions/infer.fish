# fish completion for infer

set -l verbs chat models load unload status tokens embed
set -l free "not __fish_seen_subcommand_from $verbs"
set -l generates "not __fish_seen_subcommand_from models load unload status tokens embed"

complete -c infer -f
complete -c infer -n $free -a chat -d 'a conversation'
complete -c infer -n $free -a models -d 'list the installed models'
complete -c infer -n $free -a load -d 'change the model that everybody shares'
complete -c infer -n $free -a unload -d 'free the memory of the model'
complete -c infer -n $free -a status -d 'what the service is doing'
complete -c infer -n $free -a tokens -d 'count tokens'
complete -c infer -n $free -a embed -d 'the embeddings of texts'
complete -c infer -n '__fish_seen_subcommand_from load' -a "(infer models 2>/dev/null | sed -n '2,\$s/^...\([^ ]*\).*/\1/p')"

complete -c infer -l json -d 'print one JSON object'
complete -c infer -n $generates -l no-stream -d 'print the answer when it is complete'
complete -c infer -n $generates -l show-reasoning -d 'print the reasoning everywhere'
complete -c infer -n $generates -l hide-reasoning -d 'do not print the reasoning'
complete -c infer -l no-color -d 'use no colours'
complete -c infer -l bus -x -a 'user system' -d 'which daemon to ask'
complete -c infer -s h -l help -d 'print help'
complete -c infer -l version -d 'print the version'

complete -c infer -n $generates -l system -x -d 'what the model shall be or heed'
complete -c infer -n $generates -l max-tokens -x -d 'stop after so many tokens'
complete -c infer -n $generates -l temperature -x -d '0 always takes the likeliest token'
complete -c infer -n $generates -l top-k -x -d 'choose among the likeliest tokens'
complete -c infer -n $generates -l top-p -x -d 'choose among tokens of so much probability'
complete -c infer -n $generates -l min-p -x -d 'leave out tokens of so little probability'
complete -c infer -n $generates -l repeat-penalty -x -d 'make recent tokens less likely'
complete -c infer -n $generates -l presence-penalty -x -d 'make tokens that occurred less likely'
complete -c infer -n $generates -l frequency-penalty -x -d 'the same, growing with each occurrence'
complete -c infer -n $generates -l seed -x -d 'the same seed gives the same answer'
complete -c infer -n $generates -l stop -x -d 'end before this text'
complete -c infer -n $generates -l reasoning -x -a 'none low medium high' -d 'how much reasoning'
complete -c infer -n $generates -l priority -x -a 'interactive normal background' -d 'class of the request'
complete -c infer -n $generates -l timeout -x -d 'give up after so long'

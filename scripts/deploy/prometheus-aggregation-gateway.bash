# Completion for bash. Made from the table of flags in src/cli.rs.
_prometheus_aggregation_gateway() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} dash=-
    local names="listen crontab next after journal push-token-file scrape-token-file gauge drop-label keep-summaries native-buckets push-times sender-label sender-timeout sender-memory max-sender-series expire-after enable-admin-api push-path cors max-body-bytes max-series max-labels max-label-bytes max-idempotency-keys workers max-connections max-buffered-bytes head-timeout body-timeout answer-timeout idle-timeout log-format log-level trusted-proxy check probe version help"
    [[ $word != --* ]] || dash=--
    COMPREPLY=()
    case $before in
        -journal | --journal | -push-token-file | --push-token-file | -scrape-token-file | --scrape-token-file)
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            ;;
        -listen | --listen | -crontab | --crontab | -next | --next | -after | --after | -gauge | --gauge | -drop-label | --drop-label | -native-buckets | --native-buckets | -sender-label | --sender-label | -sender-timeout | --sender-timeout | -sender-memory | --sender-memory | -max-sender-series | --max-sender-series | -expire-after | --expire-after | -push-path | --push-path | -cors | --cors | -max-body-bytes | --max-body-bytes | -max-series | --max-series | -max-labels | --max-labels | -max-label-bytes | --max-label-bytes | -max-idempotency-keys | --max-idempotency-keys | -workers | --workers | -max-connections | --max-connections | -max-buffered-bytes | --max-buffered-bytes | -head-timeout | --head-timeout | -body-timeout | --body-timeout | -answer-timeout | --answer-timeout | -idle-timeout | --idle-timeout | -log-format | --log-format | -log-level | --log-level | -trusted-proxy | --trusted-proxy | -probe | --probe) ;;
        *)
            mapfile -t COMPREPLY < <(compgen -P "$dash" -W "$names" -- "${word#"$dash"}")
            ;;
    esac
}
complete -o filenames -F _prometheus_aggregation_gateway prometheus-aggregation-gateway

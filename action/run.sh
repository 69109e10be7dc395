#!/usr/bin/env bash
# One of the three things that the action does. Reads PRECEDENT_MODE, PRECEDENT_STORE, PRECEDENT_FINDINGS,
# PRECEDENT_AUTHOR and what a runner sets; `review` reads PRECEDENT_FORMAT, PRECEDENT_LLM, PRECEDENT_LLM_URL,
# PRECEDENT_LLM_KEY, PRECEDENT_LLM_REQUESTS, PRECEDENT_LLM_SECONDS, PRECEDENT_LLM_COST, PRECEDENT_LLM_INPUT_PRICE and
# PRECEDENT_LLM_OUTPUT_PRICE too. Nothing of a pull request ever stands in a command.
set -euo pipefail

export PATH="$RUNNER_TEMP/precedent-bin:$PATH"

case "$PRECEDENT_MODE" in
    index)
        # What became of claims about past changes may silence a check here: the last 500 changes, over as many nights as it takes.
        precedent --store "$PRECEDENT_STORE" index --replay 120
        # What reviewers said is good to have, and no reason to fail.
        if [ -n "${GITHUB_TOKEN:-}" ]; then
            precedent --store "$PRECEDENT_STORE" reviews fetch --author "$PRECEDENT_AUTHOR" ||
                echo "::warning::what reviewers said could not be fetched; see the log of this step"
        fi
        ;;
    review)
        format=${PRECEDENT_FORMAT:-json}
        case "$format" in
            json | sarif) out=(--out "$PRECEDENT_FINDINGS") ;;
            # The runner reads them from the log.
            annotations) out=() ;;
            *)
                echo "error: \`format\` is json, sarif or annotations" >&2
                exit 2
                ;;
        esac
        caps=()
        if [ -n "${PRECEDENT_LLM_REQUESTS:-}" ]; then caps+=("--llm-requests=$PRECEDENT_LLM_REQUESTS"); fi
        if [ -n "${PRECEDENT_LLM_SECONDS:-}" ]; then caps+=("--llm-seconds=$PRECEDENT_LLM_SECONDS"); fi
        if [ -n "${PRECEDENT_LLM_COST:-}" ]; then caps+=("--llm-cost=$PRECEDENT_LLM_COST"); fi
        if [ -n "${PRECEDENT_LLM_INPUT_PRICE:-}" ]; then caps+=("--llm-input-price=$PRECEDENT_LLM_INPUT_PRICE"); fi
        if [ -n "${PRECEDENT_LLM_OUTPUT_PRICE:-}" ]; then caps+=("--llm-output-price=$PRECEDENT_LLM_OUTPUT_PRICE"); fi
        precedent --store "$PRECEDENT_STORE" review --event "$GITHUB_EVENT_PATH" --format "$format" "${out[@]}" "${caps[@]}"
        ;;
    post)
        if [ ! -f "$PRECEDENT_FINDINGS" ]; then
            echo "error: there are no findings at $PRECEDENT_FINDINGS" >&2
            exit 2
        fi
        precedent post "$PRECEDENT_FINDINGS" --author "$PRECEDENT_AUTHOR"
        ;;
    *)
        echo "error: \`mode\` is index, review or post" >&2
        exit 2
        ;;
esac

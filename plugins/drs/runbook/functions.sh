# What the waves below are made of: bash 3.2 or newer, grep, and the AWS CLI.
# A line that begins with "launch aws drs" is a plain AWS command with its repetition in front.

set -u
export AWS_PAGER=""
POLL=${POLL:-15} # seconds between two looks at DRS
run="runbook-$(date -u +%Y-%m-%dT%H:%M:%SZ)"
token="$run-$RANDOM$RANDOM"
began=$(date -u +%Y-%m-%dT%H:%M:%SZ)
tags="--tags drs-drills:run=$token,drs-drills:dag=$dag,drs-drills:dag-run=$run"
errors=$(mktemp)
trap 'rm -f "$errors" "$errors.listed"' EXIT
trap '' PIPE # whoever reads along may go; clean-up goes on
jobs=""      # every LAUNCH job of this runbook
ending=""    # every TERMINATE job of it
wave_jobs="" # the jobs of the wave that is being launched

say() { printf '%s  %s\n' "$(date -u +%H:%M:%S)" "$*" >&2; }

confirm() { # QUESTION: whether a person agrees
    local answer=""
    read -r -p "$1 [y/N] " answer
    case $answer in y | Y | yes) return 0 ;; esac
    say "Not agreed."
    return 1
}

pause() { # SECONDS WHAT
    say "$2: $1 s"
    sleep "$1"
}

check_account() { # ACCOUNT: whether the credentials lead there
    local account
    account=$(aws sts get-caller-identity --region "$region" --query Account --output text) || {
        say "AWS does not say who you are: log in, or set AWS_PROFILE."
        return 1
    }
    [ "$account" = "$1" ] && return 0
    say "These credentials lead to account $account, and the plan is for $1. Nothing was done."
    return 1
}

joined() { # JOB...: the ids with commas between them
    local IFS=,
    echo "$*"
}

knows() { # JOB: whether it is one of this runbook's
    case " $jobs " in *" $1 "*) return 0 ;; esac
    return 1
}

new_jobs() { # the jobs that bear this runbook's tag and whose reply was lost
    local job owner
    [ -n "$tags" ] || return 0
    aws drs describe-jobs --region "$region" --filters "fromDate=$began" \
        --query 'items[?type==`"LAUNCH"`].[jobID,tags."drs-drills:run"]' --output text > "$errors.listed" || return 1
    while read -r job owner; do
        if [ "$owner" = "$token" ] && ! knows "$job"; then echo "$job"; fi
    done < "$errors.listed"
}

started() { # JOB
    jobs="$jobs $1"
    wave_jobs="$wave_jobs $1"
    say "Job $1 is started."
}

in_recovery() { # COMMAND...: the servers in it that run in recovery for real
    local server
    aws drs describe-recovery-instances --region "$region" \
        --query 'items[?isDrill!=`true`].[sourceServerID]' --output text > "$errors.listed" || return 1
    while read -r server; do
        case " $* " in *" sourceServerID=$server "*) echo "$server" ;; esac
    done < "$errors.listed"
}

recovering() { # COMMAND...: the servers of a drill's command that a live job recovers for real
    local server
    case " $* " in *" --is-drill "*) ;; *) return 0 ;; esac
    aws drs describe-jobs --region "$region" \
        --query 'items[?initiatedBy==`"START_RECOVERY"` && status!=`"COMPLETED"`].participatingServers[].[sourceServerID]' \
        --output text > "$errors.listed" || return 1
    while read -r server; do
        case " $* " in *" sourceServerID=$server "*) echo "$server" ;; esac
    done < "$errors.listed"
}

# Before each try: a real recovery may have come in between. Its job is looked for first, and a call that names its
# servers not made: DRS would grant it in the moment of the job's end, and terminate what that job launched.
launch() { # COMMAND...: start one job; again and again while another job holds one of its servers
    local since=$SECONDS waits=$backoff wait job lost held real
    while :; do
        if ! held=$(recovering "$@") || ! real=$(in_recovery "$@"); then
            say "NOT STARTED: it is unknown which servers run in recovery: $*"
            return 1
        elif [ -n "$real" ]; then
            say "RECOVERY_INSTANCE_EXISTS: a launch would terminate what these servers run as in recovery:" $real
            return 1
        fi
        if [ -n "$held" ]; then
            echo "ConflictException: a live job recovers for real:" $held > "$errors"
        elif job=$("$@" $tags 2> "$errors"); then
            started "$job"
            return 0
        fi
        lost=$(new_jobs)
        if [ -n "$lost" ]; then
            say "The reply was lost, and the job is there."
            for job in $lost; do started "$job"; done
            return 0
        fi
        if [ -n "$tags" ] && grep -q TagResource "$errors"; then
            say "The account refuses tags on jobs: going on without them."
            tags=""
            continue
        fi
        if ! grep -qE 'ConflictException|Throttling|ServiceQuotaExceeded' "$errors" ||
            [ $((SECONDS - since)) -ge "$conflict_timeout" ]; then
            say "NOT STARTED: $* : $(cat "$errors")"
            return 1
        fi
        wait=${waits%% *}
        case $waits in *" "*) waits=${waits#* } ;; esac
        say "Refused, trying again in $wait s: $(tr '\n' ' ' < "$errors")"
        sleep "$wait"
    done
}

statuses() { # JOB...: id and status of each
    aws drs describe-jobs --region "$region" --filters "jobIDs=$(joined "$@")" \
        --query 'items[].[jobID,status]' --output text
}

wait_started() { # WAVE SECONDS JOB...: until no job of the wave is PENDING any more
    local wave=$1 until=$((SECONDS + $2)) listed job pending
    shift 2
    while :; do
        pending=""
        listed=$([ $# -eq 0 ] || statuses "$@")
        for job in "$@"; do
            grep -qE "^${job}[[:space:]]+(STARTED|COMPLETED)" <<< "$listed" || pending="$pending $job"
        done
        [ -n "$pending" ] || return 0
        if [ "$SECONDS" -ge "$until" ]; then
            say "JOB_START_TIMEOUT: wave $wave has jobs that did not leave PENDING:$pending"
            return 1
        fi
        sleep "$POLL"
    done
}

wait_ended() { # SECONDS JOB...: until every job has ended
    local until=$((SECONDS + $1)) listed job live
    shift
    while :; do
        live=""
        listed=$([ $# -eq 0 ] || statuses "$@")
        for job in "$@"; do
            grep -qE "^${job}[[:space:]]+COMPLETED" <<< "$listed" || live="$live $job"
        done
        [ -n "$live" ] || return 0
        if [ "$SECONDS" -ge "$until" ]; then
            say "Not ended in time:$live"
            return 1
        fi
        sleep "$POLL"
    done
}

# A COMPLETED job proves nothing: its servers' launch statuses do.
wait_launched() { # WAVE SECONDS JOBS SERVERS OPTIONAL-SERVERS: until every server is launched
    local wave=$1 seconds=$2 of_wave=$3 required=$4 optional=$5 listed="" server job missing=""
    wait_ended "$seconds" $of_wave || say "JOB_TIMEOUT: wave $wave."
    [ -z "$of_wave" ] || listed=$(aws drs describe-jobs --region "$region" --filters "jobIDs=$(joined $of_wave)" \
        --query 'items[].participatingServers[].[sourceServerID,launchStatus]' --output text)
    for server in $required; do
        grep -qE "^${server}[[:space:]]+LAUNCHED" <<< "$listed" || missing="$missing $server"
    done
    for server in $optional; do
        grep -qE "^${server}[[:space:]]+LAUNCHED" <<< "$listed" || say "Optional server $server was not launched."
    done
    if [ -z "$missing" ]; then
        say "Wave $wave: every server is launched."
        return 0
    fi
    say "SERVER_LAUNCH_FAILED: wave $wave:$missing"
    for job in $of_wave; do
        aws drs describe-job-log-items --region "$region" --job-id "$job" \
            --query 'items[?eventData.rawError].[logDateTime,event,eventData.sourceServerID,eventData.rawError]' \
            --output text >&2
    done
    return 1
}

drill_instances() { # the drill instances of this runbook's jobs that DRS lists; real recoveries never
    local job instance
    aws drs describe-recovery-instances --region "$region" \
        --query 'items[?isDrill==`true`].[jobID,recoveryInstanceID]' --output text > "$errors.listed" || return 1
    while read -r job instance; do
        if [ -n "$instance" ] && knows "$job"; then echo "$instance"; fi
    done < "$errors.listed"
}

running_in_ec2() { # what EC2 still runs of this runbook's jobs
    local job
    for job in $jobs; do
        aws ec2 describe-instances --region "$region" --filters "Name=tag:drs.amazonaws.com-job,Values=$job" \
            Name=instance-state-name,Values=pending,running,stopping,stopped \
            --query 'Reservations[].Instances[].InstanceId' --output text || return 1
    done
}

terminate() { # INSTANCE...: one job for each hundred of them
    local job
    while [ $# -gt 0 ]; do
        job=$(aws drs terminate-recovery-instances --region "$region" --recovery-instance-ids "${@:1:100}" \
            --query job.jobID --output text) && ending="$ending $job" && say "Job $job terminates: ${*:1:100}"
        shift $(($# < 100 ? $# : 100))
    done
}

clean_up() { # SECONDS: terminate what this runbook launched, and see it gone in DRS and in EC2
    local until=$((SECONDS + $1)) lost="" left="" running="" rounds=0 job
    say "Clean-up of:${jobs:- no job} (DRS cannot cancel a job: live ones are waited for)"
    while [ "$SECONDS" -lt "$until" ] && [ "$rounds" -le 3 ]; do
        if lost=$(new_jobs); then
            for job in $lost; do started "$job"; done
            if wait_ended $((until - SECONDS)) $jobs $ending && left=$(drill_instances); then
                if [ -n "$left" ]; then
                    [ "$rounds" -eq 3 ] || terminate $left
                    rounds=$((rounds + 1))
                elif running=$(running_in_ec2) && [ -z "$running" ]; then
                    say "Clean: DRS and EC2 show no instance of this runbook any more."
                    return 0
                fi
            fi
        fi
        sleep "$POLL"
    done
    say "CLEANUP_INCOMPLETE: still there, costing money: ${left:-in DRS none} ${running}"
    say "See which job or termination protection keeps them, then: aws drs terminate-recovery-instances \
--region $region --recovery-instance-ids ${left:-ID...}"
    return 1
}

finish() { # EXIT-CODE: clean up whatever happened, and say how it ended
    local code=$1
    if [ "$kind" != --is-drill ]; then
        say "A real recovery: nothing is terminated. Its jobs:${jobs:- none}"
        exit "$code"
    fi
    trap 'say "Stopped before the end of clean-up: instances of$jobs may be left."; exit 130' INT TERM
    trap '' HUP
    if [ -t 0 ]; then read -r -p "Look at the instances; Enter terminates them. "; fi
    clean_up "$cleanup_timeout" || code=1
    if [ "$code" -eq 0 ]; then say "The drill of $plan is good."; else say "The drill of $plan FAILED."; fi
    exit "$code"
}

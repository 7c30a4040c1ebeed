# Functions that the waves below use. They need bash 3.2 or newer, grep, and the AWS CLI.
# A line that begins with "launch aws drs" is a plain AWS command; launch repeats it while another job holds its servers.

set -u
export AWS_PAGER=""
POLL=${POLL:-15} # seconds between two calls that ask DRS for a status
run="runbook-$(date -u +%Y-%m-%dT%H:%M:%SZ)"
token="$run-$RANDOM$RANDOM"
began=$(date -u +%Y-%m-%dT%H:%M:%SZ)
tags="--tags drs-drills:run=$token,drs-drills:dag=$dag,drs-drills:dag-run=$run"
errors=$(mktemp)
trap 'rm -f "$errors" "$errors.listed"' EXIT
trap '' PIPE # clean-up goes on even if nothing reads the output any more
jobs=""      # every LAUNCH job of this runbook
ending=""    # every TERMINATE job of this runbook
wave_jobs="" # the jobs of the wave that is being launched

say() { printf '%s  %s\n' "$(date -u +%H:%M:%S)" "$*" >&2; }

confirm() { # QUESTION: succeeds if a person answers yes
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

check_account() { # ACCOUNT: succeeds if the credentials are for this account
    local account
    account=$(aws sts get-caller-identity --region "$region" --query Account --output text) || {
        say "AWS does not accept your credentials: log in, or set AWS_PROFILE."
        return 1
    }
    [ "$account" = "$1" ] && return 0
    say "These credentials are for account $account, but the plan is for account $1. Nothing was done."
    return 1
}

joined() { # JOB...: prints the ids with commas between them
    local IFS=,
    echo "$*"
}

knows() { # JOB: succeeds if this runbook started the job
    case " $jobs " in *" $1 "*) return 0 ;; esac
    return 1
}

new_jobs() { # prints the jobs that have this runbook's tag but are not known yet, because a reply was lost
    local job owner
    [ -n "$tags" ] || return 0
    aws drs describe-jobs --region "$region" --filters "fromDate=$began" \
        --query 'items[?type==`"LAUNCH"`].[jobID,tags."drs-drills:run"]' --output text > "$errors.listed" || return 1
    while read -r job owner; do
        if [ "$owner" = "$token" ] && ! knows "$job"; then echo "$job"; fi
    done < "$errors.listed"
}

started() { # JOB: records a job of this runbook
    jobs="$jobs $1"
    wave_jobs="$wave_jobs $1"
    say "Job $1 started."
}

in_recovery() { # COMMAND...: prints the servers of the command that run in a real recovery
    local server
    aws drs describe-recovery-instances --region "$region" \
        --query 'items[?isDrill!=`true`].[sourceServerID]' --output text > "$errors.listed" || return 1
    while read -r server; do
        case " $* " in *" sourceServerID=$server "*) echo "$server" ;; esac
    done < "$errors.listed"
}

recovering() { # COMMAND...: prints the servers of a drill's command that a live job recovers for real
    local server
    case " $* " in *" --is-drill "*) ;; *) return 0 ;; esac
    aws drs describe-jobs --region "$region" \
        --query 'items[?initiatedBy==`"START_RECOVERY"` && status!=`"COMPLETED"`].participatingServers[].[sourceServerID]' \
        --output text > "$errors.listed" || return 1
    while read -r server; do
        case " $* " in *" sourceServerID=$server "*) echo "$server" ;; esac
    done < "$errors.listed"
}

# Before each attempt, launch looks for a real recovery that began in the meantime. It does not launch a server that
# a job of a real recovery holds: at the moment when that job ends, DRS would accept the call and terminate the
# instance that the job launched.
launch() { # COMMAND...: starts one job, and repeats the command while another job holds one of its servers
    local since=$SECONDS waits=$backoff wait job lost held real
    while :; do
        if ! held=$(recovering "$@") || ! real=$(in_recovery "$@"); then
            say "NOT STARTED: DRS did not answer which servers run in a real recovery: $*"
            return 1
        elif [ -n "$real" ]; then
            say "RECOVERY_INSTANCE_EXISTS: a launch would terminate the real recovery instances of these servers:" $real
            return 1
        fi
        if [ -n "$held" ]; then
            echo "ConflictException: a live job of a real recovery holds:" $held > "$errors"
        elif job=$("$@" $tags 2> "$errors"); then
            started "$job"
            return 0
        fi
        lost=$(new_jobs)
        if [ -n "$lost" ]; then
            say "The reply was lost, but the job exists."
            for job in $lost; do started "$job"; done
            return 0
        fi
        if [ -n "$tags" ] && grep -q TagResource "$errors"; then
            say "The account refuses tags on jobs: continuing without tags."
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
        say "Refused; next attempt in $wait s: $(tr '\n' ' ' < "$errors")"
        sleep "$wait"
    done
}

statuses() { # JOB...: prints the id and status of each job
    aws drs describe-jobs --region "$region" --filters "jobIDs=$(joined "$@")" \
        --query 'items[].[jobID,status]' --output text
}

wait_started() { # WAVE SECONDS JOB...: waits until no job of the wave is PENDING
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
            say "JOB_START_TIMEOUT: wave $wave has jobs that are still PENDING:$pending"
            return 1
        fi
        sleep "$POLL"
    done
}

wait_ended() { # SECONDS JOB...: waits until every job has ended
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
            say "These jobs did not end in time:$live"
            return 1
        fi
        sleep "$POLL"
    done
}

# A job can be COMPLETED without its servers being launched, so the launch status of each server is checked.
wait_launched() { # WAVE SECONDS JOBS SERVERS OPTIONAL-SERVERS: waits until every server is launched
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

drill_instances() { # prints the drill instances of this runbook's jobs in DRS; never those of real recoveries
    local job instance
    aws drs describe-recovery-instances --region "$region" \
        --query 'items[?isDrill==`true`].[jobID,recoveryInstanceID]' --output text > "$errors.listed" || return 1
    while read -r job instance; do
        if [ -n "$instance" ] && knows "$job"; then echo "$instance"; fi
    done < "$errors.listed"
}

running_in_ec2() { # prints the instances of this runbook's jobs that still exist in EC2
    local job
    for job in $jobs; do
        aws ec2 describe-instances --region "$region" --filters "Name=tag:drs.amazonaws.com-job,Values=$job" \
            Name=instance-state-name,Values=pending,running,stopping,stopped \
            --query 'Reservations[].Instances[].InstanceId' --output text || return 1
    done
}

terminate() { # INSTANCE...: starts one TERMINATE job for each 100 instances
    local job
    while [ $# -gt 0 ]; do
        job=$(aws drs terminate-recovery-instances --region "$region" --recovery-instance-ids "${@:1:100}" \
            --query job.jobID --output text) && ending="$ending $job" && say "Job $job terminates: ${*:1:100}"
        shift $(($# < 100 ? $# : 100))
    done
}

clean_up() { # SECONDS: terminates what this runbook launched, until DRS and EC2 show that it is gone
    local until=$((SECONDS + $1)) lost="" left="" running="" rounds=0 job
    say "Clean-up of jobs:${jobs:- none} (DRS cannot cancel a job, so clean-up waits for live jobs)"
    while [ "$SECONDS" -lt "$until" ] && [ "$rounds" -le 3 ]; do
        if lost=$(new_jobs); then
            for job in $lost; do started "$job"; done
            if wait_ended $((until - SECONDS)) $jobs $ending && left=$(drill_instances); then
                if [ -n "$left" ]; then
                    [ "$rounds" -eq 3 ] || terminate $left
                    rounds=$((rounds + 1))
                elif running=$(running_in_ec2) && [ -z "$running" ]; then
                    say "Clean: DRS and EC2 show no instance of this runbook."
                    return 0
                fi
            fi
        fi
        sleep "$POLL"
    done
    say "CLEANUP_INCOMPLETE: these instances still exist and cost money: ${left:-none in DRS} ${running}"
    say "Find out which job or termination protection keeps them, then run: aws drs terminate-recovery-instances \
--region $region --recovery-instance-ids ${left:-ID...}"
    return 1
}

finish() { # EXIT-CODE: cleans up and prints how the drill ended
    local code=$1
    if [ "$kind" != --is-drill ]; then
        say "This was a real recovery: nothing is terminated. Its jobs:${jobs:- none}"
        exit "$code"
    fi
    trap 'say "Clean-up was stopped before its end: instances of these jobs may be left:$jobs"; exit 130' INT TERM
    trap '' HUP
    if [ -t 0 ]; then read -r -p "Look at the instances now. Press Enter to terminate them. "; fi
    clean_up "$cleanup_timeout" || code=1
    if [ "$code" -eq 0 ]; then say "The drill of $plan passed."; else say "The drill of $plan FAILED."; fi
    exit "$code"
}

"""DRS, EC2, Systems Manager and STS over HTTP, with replies as large as they are at DRS's quotas."""

from __future__ import annotations

import datetime as dt
import json
import random
import threading
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from drs.text.times import utc_now
from drs.validation.checks.http_get import BODY

JOBS = 5
SERVERS = 100
"""Servers of a job: DRS's quota. Together with ``JOBS`` the servers that may be in jobs at a time."""
EVENTS = 20
"""Events that DRS has logged for each server of the first job."""
BODIES = {
    "/": b"a" * (BODY - 1) + b"!" + b"a" * BODY,
    "/mixed": "".join(random.Random(1).choices("ab", k=2 * BODY)).encode(),
}
"""Answers that are read in part."""
STATES = ("PENDING", "STARTED", "COMPLETED")
CREDENTIALS = """\
<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIASESSION</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
<SessionToken>token</SessionToken><Expiration>{:%Y-%m-%dT%H:%M:%SZ}</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>"""
DISK = """\
<item><deviceName>/dev/sd{disk}</deviceName><ebs><volumeId>vol-{number:017x}</volumeId>
<status>attached</status><attachTime>2026-03-01T06:00:00.000Z</attachTime>
<deleteOnTermination>true</deleteOnTermination></ebs></item>"""
TAG = "<item><key>key-{tag}</key><value>value of the tag {tag}</value></item>"
INSTANCE = """\
<item><reservationId>r-{number:017x}</reservationId><ownerId>111122223333</ownerId><groupSet/><instancesSet><item>
<instanceId>i-{number:017x}</instanceId><imageId>ami-1</imageId>
<instanceState><code>16</code><name>running</name></instanceState><privateDnsName>localhost</privateDnsName>
<dnsName/><reason/><keyName>key</keyName><amiLaunchIndex>0</amiLaunchIndex><productCodes/>
<instanceType>m5.large</instanceType><launchTime>2026-03-01T06:00:00.000Z</launchTime>
<placement><availabilityZone>us-east-1a</availabilityZone><groupName/><tenancy>default</tenancy></placement>
<monitoring><state>disabled</state></monitoring><subnetId>subnet-1</subnetId><vpcId>vpc-1</vpcId>
<privateIpAddress>127.0.0.1</privateIpAddress><sourceDestCheck>true</sourceDestCheck>
<groupSet><item><groupId>sg-1</groupId><groupName>drill</groupName></item></groupSet>
<architecture>x86_64</architecture><rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/sda1</rootDeviceName>
<blockDeviceMapping>{disks}</blockDeviceMapping><virtualizationType>hvm</virtualizationType><clientToken/>
<tagSet>{tags}</tagSet><hypervisor>xen</hypervisor>
<networkInterfaceSet><item><networkInterfaceId>eni-{number:017x}</networkInterfaceId><subnetId>subnet-1</subnetId>
<vpcId>vpc-1</vpcId><description/><ownerId>111122223333</ownerId><status>in-use</status>
<macAddress>0a:00:00:00:00:00</macAddress><privateIpAddress>127.0.0.1</privateIpAddress>
<privateDnsName>localhost</privateDnsName><sourceDestCheck>true</sourceDestCheck>
<groupSet><item><groupId>sg-1</groupId><groupName>drill</groupName></item></groupSet>
<attachment><attachmentId>eni-attach-{number:017x}</attachmentId><deviceIndex>0</deviceIndex>
<status>attached</status><attachTime>2026-03-01T06:00:00.000Z</attachTime>
<deleteOnTermination>true</deleteOnTermination></attachment>
<privateIpAddressesSet><item><privateIpAddress>127.0.0.1</privateIpAddress><privateDnsName>localhost</privateDnsName>
<primary>true</primary></item></privateIpAddressesSet><ipv6AddressesSet/></item></networkInterfaceSet>
<ebsOptimized>true</ebsOptimized><cpuOptions><coreCount>1</coreCount><threadsPerCore>2</threadsPerCore></cpuOptions>
<metadataOptions><state>applied</state><httpTokens>required</httpTokens><httpEndpoint>enabled</httpEndpoint>
</metadataOptions></item></instancesSet></item>"""
STATUS = """\
<item><instanceId>i-{number:017x}</instanceId><availabilityZone>us-east-1a</availabilityZone>
<instanceState><code>16</code><name>running</name></instanceState>
<systemStatus><status>ok</status><details><item><name>reachability</name><status>passed</status></item></details>
</systemStatus><instanceStatus><status>ok</status><details><item><name>reachability</name><status>passed</status>
</item></details></instanceStatus></item>"""


def server_id(number: int) -> str:
    return f"s-{number:017x}"


def instance_id(number: int) -> str:
    return f"i-{number:017x}"


def job_id(job: int) -> str:
    return f"drsjob-{job:017x}"


def numbers_of(job: int) -> range:
    """The numbers of the job's servers."""
    return range(job * SERVERS, (job + 1) * SERVERS)


class LargeAws:
    """An AWS in which every job has begun one look after the first, and has ended at the third."""

    def __init__(self) -> None:
        self.looks = 0
        self.calls: list[str] = []
        self._largest = {"DescribeInstances": 1000, "DescribeInstanceStatus": 100}

    # --- DRS --------------------------------------------------------------------------------------------

    def describe_jobs(self, asked: Mapping[str, Any]) -> list[Any]:
        if "nextToken" not in asked:
            self.looks += 1
        status = STATES[min(self.looks, len(STATES)) - 1]
        wanted = asked["filters"]["jobIDs"]
        return [self._job(job, status) for job in range(JOBS) if job_id(job) in wanted]

    def _job(self, job: int, status: str) -> dict[str, Any]:
        action = {"name": "Install the agent", "actionCode": "AWS-Install", "optional": False, "active": True}
        run = {"status": "SUCCEEDED", "runId": "run", "action": {**action, "parameters": {}, "order": 1001}}
        return {
            "jobID": job_id(job),
            "arn": f"arn:aws:drs:us-east-1:111122223333:job/{job_id(job)}",
            "type": "LAUNCH",
            "initiatedBy": "START_DRILL",
            "creationDateTime": utc_now().isoformat(),
            "status": status,
            "participatingServers": [
                {
                    "sourceServerID": server_id(number),
                    "recoveryInstanceID": instance_id(number),
                    "launchStatus": "LAUNCHED" if status == "COMPLETED" else "IN_PROGRESS",
                    "launchActionsStatus": {"runs": [run] * 4},
                }
                for number in numbers_of(job)
            ],
            "tags": {f"key-{tag}": "value" for tag in range(8)},
        }

    def describe_job_log_items(self, asked: Mapping[str, Any]) -> list[Any]:
        if asked["jobID"] != job_id(0):
            return []
        return [
            {
                "logDateTime": utc_now().isoformat(),
                "event": "CONVERSION_START",
                "eventData": {"sourceServerID": server_id(number), "conversionServerID": instance_id(number)},
            }
            for number in numbers_of(0)
            for _ in range(EVENTS)
        ]

    def describe_recovery_instances(self, asked: Mapping[str, Any]) -> list[Any]:
        wanted = set(asked["filters"]["sourceServerIDs"])
        disks = [
            {"internalDeviceName": f"/dev/sd{disk}", "bytes": 2**36, "ebsVolumeID": "vol-1"}
            for disk in "abcd"
        ]
        return [
            {
                "sourceServerID": server_id(number),
                "recoveryInstanceID": instance_id(number),
                "ec2InstanceID": instance_id(number),
                "ec2InstanceState": "RUNNING",
                "jobID": job_id(job),
                "isDrill": True,
                "arn": f"arn:aws:drs:us-east-1:111122223333:recovery-instance/{instance_id(number)}",
                "pointInTimeSnapshotDateTime": utc_now().isoformat(),
                "tags": {f"key-{tag}": "value" for tag in range(8)},
                "recoveryInstanceProperties": {
                    "cpus": [{"cores": 4, "modelName": "Xeon"}],
                    "disks": disks,
                    "identificationHints": {"hostname": f"server-{number}", "fqdn": "localhost"},
                    "networkInterfaces": [{"ips": ["127.0.0.1"], "macAddress": "0a:00", "isPrimary": True}],
                    "os": {"fullString": "Debian GNU/Linux 12"},
                    "ramBytes": 2**34,
                },
                "failback": {"state": "FAILBACK_NOT_STARTED"},
                "dataReplicationInfo": {"dataReplicationState": "STOPPED", "replicatedDisks": disks},
            }
            for job in range(JOBS)
            for number in numbers_of(job)
            if server_id(number) in wanted
        ]

    # --- EC2 and STS ------------------------------------------------------------------------------------

    def ec2(self, asked: Mapping[str, str]) -> str:
        wanted = {value for key, value in asked.items() if key.startswith(("Filter.1.Value", "InstanceId"))}
        numbers = [number for number in range(JOBS * SERVERS) if instance_id(number) in wanted]
        action = asked["Action"]
        size = int(asked.get("MaxResults", self._largest[action]))
        start = int(asked.get("NextToken", 0))
        token = f"<nextToken>{start + size}</nextToken>" if start + size < len(numbers) else ""
        write, name = _instance, "reservationSet"
        if action == "DescribeInstanceStatus":
            write, name = _status, "instanceStatusSet"
        items = "".join(write(number) for number in numbers[start : start + size])
        return (
            f'<{action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
            f"<requestId>1</requestId><{name}>{items}</{name}>{token}</{action}Response>"
        )

    # --- Systems Manager --------------------------------------------------------------------------------

    def ssm(self, operation: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        match operation:
            case "ListCommands":
                return {"Commands": []}
            case "SendCommand":
                return {"Command": {"CommandId": f"{len(self.calls):036x}"}}
            case "GetCommandInvocation":
                return {
                    "Status": "Success",
                    "StatusDetails": "Success",
                    "StandardOutputContent": "x" * 24_000,
                }
        raise AssertionError(operation)

    # --- HTTP -------------------------------------------------------------------------------------------

    def reply(self, path: str, target: str, body: bytes) -> bytes:
        if path != "/":
            operation, asked = path[1:], json.loads(body)
            self.calls.append(operation)
            items = {
                "DescribeJobs": self.describe_jobs,
                "DescribeJobLogItems": self.describe_job_log_items,
                "DescribeRecoveryInstances": self.describe_recovery_instances,
            }[operation](asked)
            return json.dumps(_page(items, asked)).encode()
        if target:
            operation = target.partition(".")[2]
            self.calls.append(operation)
            return json.dumps(self.ssm(operation, json.loads(body))).encode()
        form = dict(urllib.parse.parse_qsl(body.decode()))
        self.calls.append(form["Action"])
        if form["Action"] == "AssumeRole":
            return CREDENTIALS.format(utc_now() + dt.timedelta(hours=1)).encode()
        return self.ec2(form).encode()

    @contextmanager
    def serving(self) -> Iterator[int]:
        """Serve on a port of 127.0.0.1."""
        aws = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._answer(aws.reply(self.path, self.headers.get("X-Amz-Target", ""), body))

            def do_GET(self) -> None:
                self.close_connection = True
                self._answer(BODIES[self.path])

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except ConnectionError:  # the caller has read enough
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 1000

        server = Server(("127.0.0.1", 0), Handler)
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            serving.join()
            server.server_close()


def _page(items: Sequence[Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    size, start = asked.get("maxResults") or len(items), int(asked.get("nextToken") or 0)
    more = {"nextToken": str(start + size)} if start + size < len(items) else {}
    return {"items": items[start : start + size], **more}


def _instance(number: int) -> str:
    disks = "".join(DISK.format(disk=disk, number=number) for disk in "abcd")
    return INSTANCE.format(number=number, disks=disks, tags="".join(TAG.format(tag=tag) for tag in range(10)))


def _status(number: int) -> str:
    return STATUS.format(number=number)

"""Set versioning and policies of buckets; the server's own shell creates the buckets."""

from __future__ import annotations

import json

from envctl.plan.model import ServicePlan
from envctl.seeding import Seeder
from envctl.seeding.declaring import refused
from envctl.seeding.s3 import client_of, errors

KEY = "buckets"


def declare(seeder: Seeder, service: ServicePlan) -> None:
    at = seeder.endpoint(service.name)
    wanted = {name: options for name, options in at.properties[KEY].items() if options.get("versioning") or options.get("policy")}
    if not wanted:
        return
    client = client_of(at, service.name, "a bucket with versions or a policy")
    for name, options in wanted.items():
        try:
            if options.get("versioning"):
                client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
            if options.get("policy"):
                client.put_bucket_policy(Bucket=name, Policy=json.dumps(options["policy"]))
        except errors() as error:
            raise refused(service, f"the bucket '{name}'", error) from None

"""Evidence -> Proposal: servers, stand-ins for third parties, the project's own services, seeds, outputs, tests."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import cast

from envctl.proposal.expressions import expression
from envctl.proposal.meaning import SQL, meaning
from envctl.proposal.migrations import run_at_start
from envctl.proposal.model import Entry, Evidence, Proposal, Proposed, Steps, Variable
from envctl.proposal.names import variable_name
from envctl.proposal.own import own_outputs, own_service, own_url
from envctl.proposal.runners import from_folder
from envctl.proposal.seeds import seeds
from envctl.proposal.servers import Server, all_servers, server_of, servers
from envctl.proposal.thirds import Third, stub_service, thirds

UP = ".."
"""From `environments/` to the project's root."""
DEFAULT_OUTPUTS = {
    "postgres": {"DATABASE_URL": "url"},
    "mariadb": {"DATABASE_URL": "url"},
    "valkey": {"REDIS_URL": "url"},
    "rabbitmq": {"AMQP_URL": "url"},
    "nats": {"NATS_URL": "url"},
    "kafka": {"KAFKA_BOOTSTRAP_SERVERS": "bootstrap"},
    "mqtt": {"MQTT_URL": "url"},
    "s3": {"S3_ENDPOINT": "endpoint", "AWS_ACCESS_KEY_ID": "access_key", "AWS_SECRET_ACCESS_KEY": "secret_key", "AWS_REGION": "region"},
    "memcached": {"MEMCACHED_URL": "url"},
    "mail": {"SMTP_URL": "url", "MAIL_URL": "web_url"},
}
"""What tests receive of a server of which no variable speaks."""
"""@@"""

"""A stand-in for MailDev 2.2.1 where no container runs: an SMTP server, and MailDev's HTTP API over what it got."""

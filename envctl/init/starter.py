"""What an empty project gets: one database, and the rest to be uncommented."""

STARTER = """\
services:
  # Nothing in the project says what its tests need, so this is a start: PostgreSQL, empty. Its user and password are
  # drawn at random for each instance; ${db.url} has them.
  # Other kinds: mariadb, valkey, rabbitmq, nats, kafka, mqtt, s3, memcached, mail.
  db:
    kind: postgres
    # with:
    #   databases: [shop]
    # seed:                              # in this order, before anything that refers to `db` starts
    #   - sql: ../schema.sql
    #   - csv: ../seeds/products.csv     # a header line; empty is NULL
    #     into: products

  # A third party that no test should call: a stub answers in its place.
  # payments:
  #   kind: stub
  #   with: {routes: stubs/payments.json}      # WireMock mappings

  # The code under test.
  # app:
  #   kind: api
  #   build: ..                          # a folder with a Dockerfile
  #   port: 8000
  #   ready: {http: /healthz}
  #   env:
  #     DATABASE_URL: ${db.url}          # inside the environment; under `outputs` it is the address that tests use

# What the tests find in their environment.
outputs:
  DATABASE_URL: ${db.url}

# `envctl test NAME` brings the environment up, runs these and takes it down.
# tests:
#   api: sh -c 'cd .. && exec python -m pytest'
"""

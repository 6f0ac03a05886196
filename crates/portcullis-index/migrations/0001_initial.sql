-- The first schema. Portable between SQLite and PostgreSQL: columns are TEXT, BIGINT or BYTEA only.
-- Ids are UUIDs as text (v7 where order by time helps), times are microseconds since 1970 (UTC), flags are 0 or 1,
-- JSON is text. No row that tells of something leaked, reported or decided is ever deleted: rows change `state`.

CREATE TABLE accounts (
    id               TEXT PRIMARY KEY,
    name             TEXT NOT NULL,
    name_normalised  TEXT NOT NULL UNIQUE,
    role             TEXT NOT NULL CHECK (role IN ('user', 'observer', 'responder', 'admin')),
    state            TEXT NOT NULL CHECK (state IN ('active', 'frozen')),
    state_cause      TEXT,
    password_hash    TEXT,
    created_at       BIGINT NOT NULL,
    erased_at        BIGINT
);

-- Mail addresses are personal: `erase` empties them, the row stays.
CREATE TABLE emails (
    id           TEXT PRIMARY KEY,
    account_id   TEXT NOT NULL REFERENCES accounts (id),
    address      TEXT,
    is_primary   BIGINT NOT NULL,
    verified_at  BIGINT,
    created_at   BIGINT NOT NULL,
    removed_at   BIGINT
);
CREATE INDEX emails_account ON emails (account_id);

-- `sealed` is the secret, AES-256-GCM under the server key. `last_step` stops a code from being used twice.
CREATE TABLE second_factors (
    id            TEXT PRIMARY KEY,
    account_id    TEXT NOT NULL REFERENCES accounts (id),
    kind          TEXT NOT NULL CHECK (kind IN ('totp')),
    label         TEXT NOT NULL,
    sealed        BYTEA NOT NULL,
    last_step     BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    confirmed_at  BIGINT,
    removed_at    BIGINT
);
CREATE INDEX second_factors_account ON second_factors (account_id);

CREATE TABLE recovery_codes (
    code_hash   TEXT PRIMARY KEY,
    account_id  TEXT NOT NULL REFERENCES accounts (id),
    created_at  BIGINT NOT NULL,
    used_at     BIGINT
);

-- Only hashes of the session id lie here; `stage` is 'password' until the second factor was given.
CREATE TABLE sessions (
    id_hash           TEXT PRIMARY KEY,
    account_id        TEXT NOT NULL REFERENCES accounts (id),
    csrf_hash         TEXT NOT NULL,
    stage             TEXT NOT NULL CHECK (stage IN ('password', 'complete')),
    created_at        BIGINT NOT NULL,
    seen_at           BIGINT NOT NULL,
    expires_at        BIGINT NOT NULL,
    authenticated_at  BIGINT NOT NULL,
    ended_at          BIGINT
);
CREATE INDEX sessions_account ON sessions (account_id);

CREATE TABLE one_time_links (
    secret_hash  TEXT PRIMARY KEY,
    purpose      TEXT NOT NULL CHECK (purpose IN ('first-administrator', 'reset')),
    account_id   TEXT REFERENCES accounts (id),
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    used_at      BIGINT
);

CREATE TABLE projects (
    id                    TEXT PRIMARY KEY,
    name                  TEXT NOT NULL,
    name_normalised       TEXT NOT NULL UNIQUE,
    name_ultranormalised  TEXT NOT NULL UNIQUE,
    state                 TEXT NOT NULL CHECK (state IN ('active', 'quarantined', 'archived')),
    state_cause           TEXT,
    created_at            BIGINT NOT NULL,
    serial                BIGINT NOT NULL
);

CREATE TABLE roles (
    id          TEXT PRIMARY KEY,
    project_id  TEXT NOT NULL REFERENCES projects (id),
    account_id  TEXT NOT NULL REFERENCES accounts (id),
    role        TEXT NOT NULL CHECK (role IN ('owner', 'maintainer')),
    created_at  BIGINT NOT NULL,
    removed_at  BIGINT
);
CREATE INDEX roles_project ON roles (project_id);
CREATE INDEX roles_account ON roles (account_id);

-- Which repository a project says, or was shown, to come from. `basis` 'owner-confirmed' proves; 'metadata-url' is a claim.
CREATE TABLE project_repositories (
    project_id    TEXT NOT NULL REFERENCES projects (id),
    repository    TEXT NOT NULL,
    basis         TEXT NOT NULL CHECK (basis IN ('owner-confirmed', 'metadata-url')),
    first_seen_at BIGINT NOT NULL,
    token_id      TEXT,
    PRIMARY KEY (project_id, repository, basis)
);
CREATE INDEX project_repositories_repository ON project_repositories (repository);

-- The CI identities that projects trust. `identity_key` is the provider's canonical spelling of what must be unique;
-- `lookup_key` is what candidates for a token are found by; `repository` ('github.com/owner/name') is what the desk asks for.
CREATE TABLE publishers (
    id             TEXT PRIMARY KEY,
    provider       TEXT NOT NULL,
    issuer         TEXT NOT NULL,
    identity_key   TEXT NOT NULL,
    lookup_key     TEXT NOT NULL,
    repository     TEXT,
    configuration  TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('active', 'paused', 'removed')),
    state_cause    TEXT,
    state_since    BIGINT,
    created_at     BIGINT NOT NULL,
    last_used_at   BIGINT
);
CREATE UNIQUE INDEX publishers_identity ON publishers (provider, issuer, identity_key);
CREATE INDEX publishers_lookup ON publishers (provider, issuer, lookup_key);
CREATE INDEX publishers_repository ON publishers (repository);

CREATE TABLE publisher_projects (
    id            TEXT PRIMARY KEY,
    publisher_id  TEXT NOT NULL REFERENCES publishers (id),
    project_id    TEXT NOT NULL REFERENCES projects (id),
    added_by      TEXT REFERENCES accounts (id),
    added_at      BIGINT NOT NULL,
    removed_at    BIGINT
);
CREATE UNIQUE INDEX publisher_projects_attached ON publisher_projects (publisher_id, project_id) WHERE removed_at IS NULL;
CREATE INDEX publisher_projects_publisher ON publisher_projects (publisher_id);
CREATE INDEX publisher_projects_project ON publisher_projects (project_id);

CREATE TABLE pending_publishers (
    id                       TEXT PRIMARY KEY,
    provider                 TEXT NOT NULL,
    issuer                   TEXT NOT NULL,
    identity_key             TEXT NOT NULL,
    lookup_key               TEXT NOT NULL,
    repository               TEXT,
    configuration            TEXT NOT NULL,
    project_name             TEXT NOT NULL,
    project_name_normalised  TEXT NOT NULL,
    account_id               TEXT NOT NULL REFERENCES accounts (id),
    state                    TEXT NOT NULL CHECK (state IN ('waiting', 'reified', 'removed', 'lost', 'expired')),
    created_at               BIGINT NOT NULL,
    ended_at                 BIGINT
);
CREATE INDEX pending_publishers_lookup ON pending_publishers (provider, issuer, lookup_key);
CREATE UNIQUE INDEX pending_publishers_identity ON pending_publishers (provider, issuer, identity_key) WHERE state = 'waiting';

-- API tokens. `sealed_key` is the macaroon's key under the server key. `caveats` is a JSON array of the issued caveats'
-- texts, those added later by the server (narrowing) at its end. Exactly one of account and publisher is set.
CREATE TABLE tokens (
    id               TEXT PRIMARY KEY,
    kind             TEXT NOT NULL CHECK (kind IN ('long-lived', 'minted', 'canary', 'release-pass')),
    account_id       TEXT REFERENCES accounts (id),
    publisher_id     TEXT REFERENCES publishers (id),
    description      TEXT NOT NULL,
    location         TEXT NOT NULL,
    sealed_key       BYTEA NOT NULL,
    caveats          TEXT NOT NULL,
    scope            TEXT NOT NULL,
    lives_in         TEXT,
    lives_in_secret  TEXT,
    minted_from      TEXT,
    state            TEXT NOT NULL CHECK (state IN ('live', 'suspended', 'revoked')),
    state_cause      TEXT,
    state_case_id    TEXT,
    state_since      BIGINT,
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT,
    first_used_at    BIGINT,
    last_used_at     BIGINT,
    use_count        BIGINT NOT NULL,
    CHECK ((account_id IS NULL) <> (publisher_id IS NULL))
);
CREATE INDEX tokens_account ON tokens (account_id);
CREATE INDEX tokens_publisher ON tokens (publisher_id);
CREATE INDEX tokens_lives_in ON tokens (lives_in);

-- What a project-scoped token may touch, beside its caveats, so that the desk finds it by project.
CREATE TABLE token_projects (
    token_id    TEXT NOT NULL REFERENCES tokens (id),
    project_id  TEXT NOT NULL REFERENCES projects (id),
    PRIMARY KEY (token_id, project_id)
);
CREATE INDEX token_projects_project ON token_projects (project_id);

-- Tokens of the management API (`portcullis-…`): a random secret, only its SHA-256 lies here.
CREATE TABLE management_tokens (
    id            TEXT PRIMARY KEY,
    secret_hash   TEXT NOT NULL UNIQUE,
    account_id    TEXT NOT NULL REFERENCES accounts (id),
    scopes        TEXT NOT NULL,
    description   TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('live', 'suspended', 'revoked')),
    state_cause   TEXT,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    last_used_at  BIGINT
);
CREATE INDEX management_tokens_account ON management_tokens (account_id);

-- The unique key decides which of two exchanges of one JWT was first.
CREATE TABLE used_jti (
    issuer      TEXT NOT NULL,
    jti         TEXT NOT NULL,
    claimed_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    token_id    TEXT NOT NULL,
    PRIMARY KEY (issuer, jti)
);

-- While a repository's gate is closed nothing is minted for it.
CREATE TABLE mint_gates (
    repository   TEXT PRIMARY KEY,
    state        TEXT NOT NULL CHECK (state IN ('open', 'closed')),
    state_cause  TEXT,
    case_id      TEXT,
    state_since  BIGINT NOT NULL
);

CREATE TABLE blobs (
    sha256      TEXT PRIMARY KEY,
    size        BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    reused_at   BIGINT
);

-- A row here, with a live lease, commits before any byte is written: what `sweep` must leave alone.
CREATE TABLE pending_blobs (
    id           TEXT PRIMARY KEY,
    sha256       TEXT,
    lease_until  BIGINT NOT NULL,
    created_at   BIGINT NOT NULL
);

CREATE TABLE releases (
    id                 TEXT PRIMARY KEY,
    project_id         TEXT NOT NULL REFERENCES projects (id),
    version            TEXT NOT NULL,
    version_canonical  TEXT NOT NULL,
    metadata           TEXT NOT NULL,
    state              TEXT NOT NULL CHECK (state IN ('active', 'quarantined', 'removed')),
    state_cause        TEXT,
    state_case_id      TEXT,
    yanked             BIGINT NOT NULL,
    yanked_reason      TEXT,
    created_at         BIGINT NOT NULL,
    UNIQUE (project_id, version_canonical)
);

CREATE TABLE files (
    id                  TEXT PRIMARY KEY,
    project_id          TEXT NOT NULL REFERENCES projects (id),
    release_id          TEXT NOT NULL REFERENCES releases (id),
    filename            TEXT NOT NULL UNIQUE,
    packagetype         TEXT NOT NULL CHECK (packagetype IN ('sdist', 'bdist_wheel')),
    python_version      TEXT NOT NULL,
    requires_python     TEXT,
    size                BIGINT NOT NULL,
    sha256              TEXT NOT NULL UNIQUE REFERENCES blobs (sha256),
    blake2_256          TEXT NOT NULL UNIQUE,
    md5                 TEXT NOT NULL,
    metadata_sha256     TEXT REFERENCES blobs (sha256),
    state               TEXT NOT NULL CHECK (state IN ('offered', 'held', 'removed')),
    state_cause         TEXT,
    state_case_id       TEXT,
    uploaded_at         BIGINT NOT NULL,
    token_id            TEXT NOT NULL REFERENCES tokens (id),
    use_id              TEXT NOT NULL,
    publisher_url       TEXT
);
CREATE INDEX files_project ON files (project_id);
CREATE INDEX files_release ON files (release_id);
CREATE INDEX files_token ON files (token_id);

-- Personal fields stand beside the history under a salted digest, so that they can be erased without breaking it.
CREATE TABLE personal (
    id          TEXT PRIMARY KEY,
    account_id  TEXT,
    salt        BYTEA,
    address     TEXT,
    user_agent  TEXT,
    digest      TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    erased_at   BIGINT
);
CREATE INDEX personal_account ON personal (account_id);

-- Every use of a token, also the refused ones: the evidence.
CREATE TABLE token_uses (
    id           TEXT PRIMARY KEY,
    token_id     TEXT NOT NULL REFERENCES tokens (id),
    kind         TEXT NOT NULL CHECK (kind IN ('upload', 'refused-upload', 'read', 'canary')),
    outcome      TEXT NOT NULL,
    at           BIGINT NOT NULL,
    project_id   TEXT,
    filename     TEXT,
    file_sha256  TEXT,
    personal_id  TEXT REFERENCES personal (id)
);
CREATE INDEX token_uses_token ON token_uses (token_id, at);

-- The security history. Rows commit with their change and without a position; the sealer gives position and chain.
CREATE TABLE events (
    id               TEXT PRIMARY KEY,
    position         BIGINT UNIQUE,
    tag              TEXT NOT NULL,
    at               BIGINT NOT NULL,
    account_id       TEXT,
    project_id       TEXT,
    case_id          TEXT,
    token_id         TEXT,
    actor            TEXT NOT NULL,
    details          TEXT NOT NULL,
    journal          BIGINT NOT NULL,
    personal_id      TEXT,
    personal_digest  TEXT,
    chain            TEXT
);
CREATE INDEX events_account ON events (account_id, at);
CREATE INDEX events_project ON events (project_id, at);
CREATE INDEX events_case ON events (case_id, at);

CREATE TABLE checkpoints (
    last_position   BIGINT PRIMARY KEY,
    first_position  BIGINT NOT NULL,
    chain           TEXT NOT NULL,
    at              BIGINT NOT NULL,
    key_id          TEXT NOT NULL,
    signature       TEXT NOT NULL
);

CREATE TABLE signing_keys (
    id             TEXT PRIMARY KEY,
    purpose        TEXT NOT NULL CHECK (purpose IN ('checkpoint', 'receipt')),
    public_key     TEXT NOT NULL,
    sealed_seed    BYTEA NOT NULL,
    created_at     BIGINT NOT NULL,
    retired_at     BIGINT
);

-- One holder at a time; `fence` grows with every change of hands, so that a holder that slept too long is refused.
CREATE TABLE leases (
    name         TEXT PRIMARY KEY,
    holder       TEXT NOT NULL,
    fence        BIGINT NOT NULL,
    lease_until  BIGINT NOT NULL
);

CREATE TABLE jobs (
    id           TEXT PRIMARY KEY,
    kind         TEXT NOT NULL,
    payload      TEXT NOT NULL,
    dedupe_key   TEXT UNIQUE,
    urgency      BIGINT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'dead')),
    run_at       BIGINT NOT NULL,
    attempts     BIGINT NOT NULL,
    holder       TEXT,
    lease_until  BIGINT,
    last_error   TEXT,
    created_at   BIGINT NOT NULL,
    finished_at  BIGINT
);
CREATE INDEX jobs_due ON jobs (state, urgency, run_at);

CREATE TABLE cases (
    id             TEXT PRIMARY KEY,
    title          TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('open', 'contained', 'closed')),
    quiet          BIGINT NOT NULL,
    opened_at      BIGINT NOT NULL,
    opened_by      TEXT NOT NULL,
    closed_at      BIGINT,
    closed_reason  TEXT
);

CREATE TABLE reports (
    id             TEXT PRIMARY KEY,
    kind           TEXT NOT NULL CHECK (kind IN ('malware', 'stolen-credential', 'compromised-workflow', 'account-takeover', 'other')),
    subject_type   TEXT NOT NULL,
    subject        TEXT NOT NULL,
    text           TEXT NOT NULL,
    scan_document  TEXT,
    reporter       TEXT NOT NULL,
    account_id     TEXT REFERENCES accounts (id),
    personal_id    TEXT REFERENCES personal (id),
    state          TEXT NOT NULL CHECK (state IN ('received', 'seen', 'acted', 'dismissed', 'closed')),
    lane           TEXT NOT NULL CHECK (lane IN ('ordinary', 'confirmed')),
    level          TEXT NOT NULL CHECK (level IN ('E0', 'E1', 'E2', 'E3', 'E4')),
    case_id        TEXT REFERENCES cases (id),
    received_at    BIGINT NOT NULL,
    due_at         BIGINT NOT NULL,
    seen_at        BIGINT,
    seen_by        TEXT,
    closed_at      BIGINT,
    closed_reason  TEXT
);
CREATE INDEX reports_state ON reports (state, due_at);
CREATE INDEX reports_case ON reports (case_id);

-- What our own scan of a repository said, for one case: the newest examination counts, older ones stay.
CREATE TABLE examinations (
    id            TEXT PRIMARY KEY,
    case_id       TEXT REFERENCES cases (id),
    report_id     TEXT REFERENCES reports (id),
    repository    TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('waiting', 'done', 'failed')),
    cited         TEXT NOT NULL,
    requested_at  BIGINT NOT NULL,
    examined_at   BIGINT,
    document      TEXT,
    pushes        TEXT,
    runs          TEXT,
    problem       TEXT
);
CREATE INDEX examinations_case ON examinations (case_id);
CREATE INDEX examinations_report ON examinations (report_id);

-- Every report that a look is made for: many reports about one repository are one look.
CREATE TABLE examination_reports (
    examination_id  TEXT NOT NULL REFERENCES examinations (id),
    report_id       TEXT NOT NULL REFERENCES reports (id),
    PRIMARY KEY (examination_id, report_id)
);
CREATE INDEX examination_reports_report ON examination_reports (report_id);
CREATE INDEX examinations_repository ON examinations (repository);

-- A secret of a repository, at a destination, over a span of time, as our own scan confirmed it.
CREATE TABLE exposures (
    id             TEXT PRIMARY KEY,
    case_id        TEXT NOT NULL REFERENCES cases (id),
    repository     TEXT NOT NULL,
    finding_id     TEXT NOT NULL,
    secret         TEXT NOT NULL,
    destination    TEXT NOT NULL,
    level          TEXT NOT NULL CHECK (level IN ('E0', 'E1', 'E2', 'E3', 'E4')),
    standing       TEXT NOT NULL,
    from_at        BIGINT NOT NULL,
    from_basis     TEXT NOT NULL CHECK (from_basis IN ('claimed', 'observed')),
    until_at       BIGINT,
    until_basis    TEXT,
    used_for       TEXT NOT NULL,
    details        TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    UNIQUE (case_id, repository, finding_id, secret, destination)
);
CREATE INDEX exposures_case ON exposures (case_id);

-- What a responder was shown before deciding: applying compares with it whose accounts and projects were named.
CREATE TABLE containment_plans (
    case_id          TEXT NOT NULL REFERENCES cases (id),
    digest           TEXT NOT NULL,
    include_claimed  BIGINT NOT NULL,
    plan             TEXT NOT NULL,
    made_at          BIGINT NOT NULL,
    PRIMARY KEY (case_id, digest)
);

-- What containment did, each action taken back one by one or together.
CREATE TABLE containment_actions (
    id              TEXT PRIMARY KEY,
    case_id         TEXT NOT NULL REFERENCES cases (id),
    type            TEXT NOT NULL,
    target_type     TEXT NOT NULL,
    target_id       TEXT NOT NULL,
    reason          TEXT NOT NULL,
    plan_digest     TEXT NOT NULL,
    before          TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('applied', 'released')),
    applied_at      BIGINT NOT NULL,
    applied_by      TEXT NOT NULL,
    released_at     BIGINT,
    released_by     TEXT,
    release_reason  TEXT
);
CREATE INDEX containment_actions_case ON containment_actions (case_id);

-- The outbox. `recipient` is personal; `dedupe_key` makes sure that nothing is told twice.
CREATE TABLE notices (
    id            TEXT PRIMARY KEY,
    case_id       TEXT REFERENCES cases (id),
    account_id    TEXT REFERENCES accounts (id),
    kind          TEXT NOT NULL,
    channel       TEXT NOT NULL CHECK (channel IN ('mail', 'none')),
    recipient     TEXT,
    subject       TEXT NOT NULL,
    body          TEXT NOT NULL,
    dedupe_key    TEXT NOT NULL UNIQUE,
    state         TEXT NOT NULL CHECK (state IN ('waiting', 'sending', 'delivered', 'bounced', 'given-up', 'no-channel')),
    attempts      BIGINT NOT NULL,
    run_at        BIGINT NOT NULL,
    lease_until   BIGINT,
    last_error    TEXT,
    created_at    BIGINT NOT NULL,
    delivered_at  BIGINT
);
CREATE INDEX notices_due ON notices (state, run_at);
CREATE INDEX notices_case ON notices (case_id);

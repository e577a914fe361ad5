BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE api_key (
	id VARCHAR NOT NULL, 
	user_id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	prefix VARCHAR NOT NULL, 
	key_hash VARCHAR NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT, 
	last_used_at BIGINT, 
	CONSTRAINT pk_api_key PRIMARY KEY (id), 
	CONSTRAINT fk_api_key_user_id_user FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE CASCADE, 
	CONSTRAINT uq_api_key_key_hash UNIQUE (key_hash)
);
CREATE TABLE audit_event (
	id VARCHAR NOT NULL, 
	user_id VARCHAR, 
	action VARCHAR NOT NULL, 
	target_type VARCHAR NOT NULL, 
	target_id VARCHAR NOT NULL, 
	detail JSON NOT NULL, 
	address VARCHAR NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_audit_event PRIMARY KEY (id), 
	CONSTRAINT fk_audit_event_user_id_user FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE SET NULL
);
INSERT INTO "audit_event" VALUES('McF-zDKBdUebtdJLbVJ8sg','s08XZzTq8Io0n3o-KndCpA','setup','user','s08XZzTq8Io0n3o-KndCpA','{}','127.0.0.1',1795288533475);
INSERT INTO "audit_event" VALUES('JwmvC_JXCb2e63GVqAitKw','s08XZzTq8Io0n3o-KndCpA','group.create','group','vFewEkZZgltkFSmKXn8v5Q','{"name":"Readers","description":"","permissions":{}}','127.0.0.1',1795288533806);
CREATE TABLE chat (
	id VARCHAR NOT NULL, 
	user_id VARCHAR NOT NULL, 
	title VARCHAR NOT NULL, 
	title_from VARCHAR NOT NULL, 
	folder_id VARCHAR, 
	pinned BOOLEAN NOT NULL, 
	archived BOOLEAN NOT NULL, 
	leaf_id VARCHAR, 
	models JSON NOT NULL, 
	params JSON NOT NULL, 
	filter_ids JSON NOT NULL, 
	meta JSON NOT NULL, 
	share_id VARCHAR, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_chat PRIMARY KEY (id), 
	CONSTRAINT fk_chat_user_id_user FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE CASCADE, 
	CONSTRAINT fk_chat_folder_id_folder FOREIGN KEY(folder_id) REFERENCES folder (id) ON DELETE SET NULL, 
	CONSTRAINT uq_chat_share_id UNIQUE (share_id)
);
INSERT INTO "chat" VALUES('p88PTfYcPGef-qY7PZlUbA','s08XZzTq8Io0n3o-KndCpA','Kept','user','xQEwTFBSqigSZJ6nhnu0kQ',0,0,'JpunUKKZk2MxgW39wGioJw','[]','{}','[]','{}',NULL,1795288533599,1795288533724);
CREATE TABLE chat_tag (
	chat_id VARCHAR NOT NULL, 
	tag VARCHAR NOT NULL, 
	user_id VARCHAR NOT NULL, 
	CONSTRAINT pk_chat_tag PRIMARY KEY (chat_id, tag), 
	CONSTRAINT fk_chat_tag_chat_id_chat FOREIGN KEY(chat_id) REFERENCES chat (id) ON DELETE CASCADE, 
	CONSTRAINT fk_chat_tag_user_id_user FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE CASCADE
);
INSERT INTO "chat_tag" VALUES('p88PTfYcPGef-qY7PZlUbA','sea','s08XZzTq8Io0n3o-KndCpA');
CREATE TABLE connection (
	id VARCHAR NOT NULL, 
	owner_id VARCHAR, 
	name VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	base_url VARCHAR NOT NULL, 
	key_sealed VARCHAR, 
	prefix VARCHAR NOT NULL, 
	allowed_models JSON, 
	visibility VARCHAR NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	position BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_connection PRIMARY KEY (id), 
	CONSTRAINT fk_connection_owner_id_user FOREIGN KEY(owner_id) REFERENCES user (id) ON DELETE CASCADE
);
CREATE TABLE file (
	id VARCHAR NOT NULL, 
	user_id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	media_type VARCHAR NOT NULL, 
	size BIGINT NOT NULL, 
	sha256 VARCHAR NOT NULL, 
	text VARCHAR, 
	tokens JSON NOT NULL, 
	status VARCHAR NOT NULL, 
	error VARCHAR, 
	meta JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_file PRIMARY KEY (id), 
	CONSTRAINT fk_file_user_id_user FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE CASCADE
);
CREATE TABLE folder (
	id VARCHAR NOT NULL, 
	user_id VARCHAR NOT NULL, 
	parent_id VARCHAR, 
	name VARCHAR NOT NULL, 
	position BIGINT NOT NULL, 
	meta JSON NOT NULL, 
	CONSTRAINT pk_folder PRIMARY KEY (id), 
	CONSTRAINT fk_folder_user_id_user FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE CASCADE, 
	CONSTRAINT fk_folder_parent_id_folder FOREIGN KEY(parent_id) REFERENCES folder (id) ON DELETE CASCADE
);
INSERT INTO "folder" VALUES('xQEwTFBSqigSZJ6nhnu0kQ','s08XZzTq8Io0n3o-KndCpA',NULL,'Papers',0,'{}');
CREATE TABLE function (
	id VARCHAR NOT NULL, 
	type VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	content VARCHAR NOT NULL, 
	manifest JSON NOT NULL, 
	valves_sealed VARCHAR, 
	active BOOLEAN NOT NULL, 
	is_global BOOLEAN NOT NULL, 
	position BIGINT NOT NULL, 
	error VARCHAR, 
	meta JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_function PRIMARY KEY (id)
);
CREATE TABLE grant (
	resource_type VARCHAR NOT NULL, 
	resource_id VARCHAR NOT NULL, 
	principal_type VARCHAR NOT NULL, 
	principal_id VARCHAR NOT NULL, 
	permission VARCHAR NOT NULL, 
	CONSTRAINT pk_grant PRIMARY KEY (resource_type, resource_id, principal_type, principal_id, permission)
);
CREATE TABLE "group" (
	id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	description VARCHAR NOT NULL, 
	permissions JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_group PRIMARY KEY (id), 
	CONSTRAINT uq_group_name UNIQUE (name)
);
INSERT INTO "group" VALUES('vFewEkZZgltkFSmKXn8v5Q','Readers','','{}',1795288533805);
CREATE TABLE group_member (
	group_id VARCHAR NOT NULL, 
	user_id VARCHAR NOT NULL, 
	CONSTRAINT pk_group_member PRIMARY KEY (group_id, user_id), 
	CONSTRAINT fk_group_member_group_id_group FOREIGN KEY(group_id) REFERENCES "group" (id) ON DELETE CASCADE, 
	CONSTRAINT fk_group_member_user_id_user FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE CASCADE
);
CREATE TABLE invitation (
	id VARCHAR NOT NULL, 
	token_hash VARCHAR NOT NULL, 
	email VARCHAR, 
	role VARCHAR NOT NULL, 
	created_by VARCHAR, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	used_at BIGINT, 
	used_by VARCHAR, 
	CONSTRAINT pk_invitation PRIMARY KEY (id), 
	CONSTRAINT uq_invitation_token_hash UNIQUE (token_hash), 
	CONSTRAINT fk_invitation_created_by_user FOREIGN KEY(created_by) REFERENCES user (id) ON DELETE SET NULL, 
	CONSTRAINT fk_invitation_used_by_user FOREIGN KEY(used_by) REFERENCES user (id) ON DELETE SET NULL
);
CREATE TABLE message (
	id VARCHAR NOT NULL, 
	chat_id VARCHAR NOT NULL, 
	parent_id VARCHAR, 
	role VARCHAR NOT NULL, 
	model_id VARCHAR, 
	status VARCHAR NOT NULL, 
	parts JSON NOT NULL, 
	text VARCHAR NOT NULL, 
	usage JSON, 
	timing JSON, 
	error JSON, 
	rating BIGINT, 
	meta JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_message PRIMARY KEY (id), 
	CONSTRAINT fk_message_chat_id_chat FOREIGN KEY(chat_id) REFERENCES chat (id) ON DELETE CASCADE
);
INSERT INTO "message" VALUES('Mz2WrJhFDnNPpzDMQVk8zg','p88PTfYcPGef-qY7PZlUbA',NULL,'user',NULL,'done','[{"type":"text","text":"What is a lighthouse?"}]','What is a lighthouse?',NULL,NULL,NULL,NULL,'{}',1795288533679);
INSERT INTO "message" VALUES('FoDn2rUOXDuyHpgCjohaPg','p88PTfYcPGef-qY7PZlUbA','Mz2WrJhFDnNPpzDMQVk8zg','assistant','fake','done','[{"type":"text","text":"Hello, world."}]','Hello, world.','{"prompt_tokens":1,"completion_tokens":4,"total_tokens":4}','{"seconds":0.004024072000902379,"time_to_first_token":0.003874378999171313,"tokens_per_second":null,"queue_time":null,"finish_reason":"stop","context_length":8192}',NULL,NULL,'{}',1795288533687);
INSERT INTO "message" VALUES('Eq4Mv0Cj1NbejBb_BxQ52g','p88PTfYcPGef-qY7PZlUbA',NULL,'user',NULL,'done','[{"type":"text","text":"What is a lighthouse?"}]','What is a lighthouse?',NULL,NULL,NULL,NULL,'{}',1795288533720);
INSERT INTO "message" VALUES('JpunUKKZk2MxgW39wGioJw','p88PTfYcPGef-qY7PZlUbA','Eq4Mv0Cj1NbejBb_BxQ52g','assistant','fake','done','[{"type":"text","text":"Hello, world."}]','Hello, world.','{"prompt_tokens":1,"completion_tokens":4,"total_tokens":4}','{"seconds":0.0031909600002109073,"time_to_first_token":0.003059042999666417,"tokens_per_second":null,"queue_time":null,"finish_reason":"stop","context_length":8192}',NULL,NULL,'{}',1795288533724);
CREATE TABLE model (
	id VARCHAR NOT NULL, 
	base_id VARCHAR, 
	owner_id VARCHAR, 
	name VARCHAR NOT NULL, 
	description VARCHAR NOT NULL, 
	icon VARCHAR NOT NULL, 
	position BIGINT NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	visibility VARCHAR NOT NULL, 
	params JSON NOT NULL, 
	meta JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_model PRIMARY KEY (id), 
	CONSTRAINT fk_model_owner_id_user FOREIGN KEY(owner_id) REFERENCES user (id) ON DELETE CASCADE
);
CREATE TABLE prompt (
	id VARCHAR NOT NULL, 
	user_id VARCHAR NOT NULL, 
	command VARCHAR NOT NULL, 
	title VARCHAR NOT NULL, 
	content VARCHAR NOT NULL, 
	visibility VARCHAR NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_prompt PRIMARY KEY (id), 
	CONSTRAINT uq_prompt_user_id_command UNIQUE (user_id, command), 
	CONSTRAINT fk_prompt_user_id_user FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE CASCADE
);
INSERT INTO "prompt" VALUES('6eWys7aiiNGlo20lRSFxqA','s08XZzTq8Io0n3o-KndCpA','sum','Sum up','Sum up: {{text}}','private',1795288533779,1795288533779);
CREATE TABLE session (
	token_hash VARCHAR NOT NULL, 
	id VARCHAR NOT NULL, 
	user_id VARCHAR NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	last_used_at BIGINT NOT NULL, 
	user_agent VARCHAR NOT NULL, 
	address VARCHAR NOT NULL, 
	CONSTRAINT pk_session PRIMARY KEY (token_hash), 
	CONSTRAINT uq_session_id UNIQUE (id), 
	CONSTRAINT fk_session_user_id_user FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE CASCADE
);
CREATE TABLE setting (
	"key" VARCHAR NOT NULL, 
	value JSON NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_setting PRIMARY KEY ("key")
);
CREATE TABLE usage_event (
	id VARCHAR NOT NULL, 
	user_id VARCHAR, 
	model_id VARCHAR NOT NULL, 
	source VARCHAR NOT NULL, 
	chat_id VARCHAR, 
	prompt_tokens BIGINT NOT NULL, 
	cached_tokens BIGINT NOT NULL, 
	completion_tokens BIGINT NOT NULL, 
	reasoning_tokens BIGINT NOT NULL, 
	ttft_ms BIGINT, 
	duration_ms BIGINT, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_usage_event PRIMARY KEY (id), 
	CONSTRAINT fk_usage_event_user_id_user FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE SET NULL
);
INSERT INTO "usage_event" VALUES('jC_wX1_OffowngwJXEfYHQ','s08XZzTq8Io0n3o-KndCpA','fake','page','p88PTfYcPGef-qY7PZlUbA',1,0,4,0,3,4,1795288533707);
INSERT INTO "usage_event" VALUES('8Ra-tdWIaetAt0uOnqVOSQ','s08XZzTq8Io0n3o-KndCpA','fake','page','p88PTfYcPGef-qY7PZlUbA',1,0,4,0,3,3,1795288533758);
CREATE TABLE user (
	id VARCHAR NOT NULL, 
	email VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	role VARCHAR NOT NULL, 
	password_hash VARCHAR, 
	password_expired BOOLEAN NOT NULL, 
	active BOOLEAN NOT NULL, 
	settings JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	last_active_at BIGINT, 
	CONSTRAINT pk_user PRIMARY KEY (id), 
	CONSTRAINT uq_user_email UNIQUE (email)
);
INSERT INTO "user" VALUES('s08XZzTq8Io0n3o-KndCpA','ada@example.org','Ada','admin','$argon2id$v=19$m=8,t=1,p=1$L/spofDYmOgKRB0UhLd8AA$KR49Z1N1i9Szve3MCCFQz2CjqnI6fLiiNI9AQ0UM2co',0,1,'{}',1795288533473,NULL);
CREATE TABLE user_valves (
	function_id VARCHAR NOT NULL, 
	user_id VARCHAR NOT NULL, 
	values_sealed VARCHAR NOT NULL, 
	CONSTRAINT pk_user_valves PRIMARY KEY (function_id, user_id), 
	CONSTRAINT fk_user_valves_function_id_function FOREIGN KEY(function_id) REFERENCES function (id) ON DELETE CASCADE, 
	CONSTRAINT fk_user_valves_user_id_user FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE CASCADE
);
CREATE INDEX ix_session_user_id ON session (user_id);
CREATE INDEX ix_api_key_user_id ON api_key (user_id);
CREATE INDEX ix_group_member_user_id ON group_member (user_id);
CREATE INDEX ix_connection_owner_id ON connection (owner_id);
CREATE INDEX ix_model_owner_id ON model (owner_id);
CREATE INDEX ix_folder_user_id ON folder (user_id);
CREATE INDEX ix_file_user_id ON file (user_id);
CREATE INDEX ix_usage_event_created_at ON usage_event (created_at);
CREATE INDEX ix_audit_event_created_at ON audit_event (created_at);
CREATE INDEX ix_chat_folder_id ON chat (folder_id);
CREATE INDEX ix_chat_user_updated ON chat (user_id, archived, updated_at);
CREATE INDEX ix_message_chat_parent ON message (chat_id, parent_id);
CREATE INDEX ix_chat_tag_user_id ON chat_tag (user_id);
COMMIT;

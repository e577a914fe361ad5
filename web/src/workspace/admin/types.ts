/** What the administration's routes send and take, as the server writes it. Times: milliseconds since the epoch. */

export type SettingValue = string | boolean | number | string[] | Record<string, boolean> | null;

export interface Setting {
  value: SettingValue;
  default: SettingValue;
  /** The environment variable that sets it. */
  locked_by: string | null;
  kind: 'text' | 'switch' | 'choice' | 'language' | 'names' | 'seconds' | 'permissions' | (string & {});
  choices: string[];
}

export interface AuditEvent {
  id: string;
  action: string;
  user_id: string | null;
  user_name: string | null;
  user_email: string | null;
  target_type: string;
  target_id: string;
  detail: Record<string, unknown>;
  address: string;
  created_at: number;
}

export interface AuditPage {
  events: AuditEvent[];
  next: string | null;
}

export type Role = 'admin' | 'user' | 'pending';

export interface User {
  id: string;
  name: string;
  email: string;
  role: Role;
  active: boolean;
  /** Ids. */
  groups: string[];
  created_at: number;
  last_active_at: number | null;
}

export interface UserPage {
  users: User[];
  total: number;
  next: string | null;
}

export interface UserChanges {
  name?: string;
  email?: string;
  role?: Role;
  active?: boolean;
}

export interface NewUser {
  name: string;
  email: string;
  role: Role;
  /** Without one the server makes one and tells it once. */
  password?: string;
}

export interface Group {
  id: string;
  name: string;
  description: string;
  permissions: Record<string, boolean>;
  /** How many. */
  members: number;
  created_at: number;
}

export interface GroupList {
  groups: Group[];
  /** What everybody may. */
  permissions: Record<string, boolean>;
}

export type GroupValues = Pick<Group, 'name' | 'description' | 'permissions'>;

export interface Invitation {
  id: string;
  email: string | null;
  role: Role;
  created_at: number;
  expires_at: number;
  used_at: number | null;
}

/** Who may use what is not for everyone. */
export interface Grant {
  type: 'user' | 'group' | 'everyone';
  id: string;
}

export interface Connection {
  id: string;
  name: string;
  base_url: string;
  has_key: boolean;
  prefix: string;
  /** null: all of them. */
  allowed_models: string[] | null;
  visibility: 'everyone' | 'granted';
  enabled: boolean;
  /** The environment variable that sets it. */
  locked_by: string | null;
  grants: Grant[];
  state?: string;
  error?: string | null;
  models?: number;
}

export interface ConnectionValues {
  name?: string;
  base_url?: string;
  /** Left out, it stays; null takes it away. */
  key?: string | null;
  prefix?: string;
  allowed_models?: string[] | null;
  visibility?: 'everyone' | 'granted';
  enabled?: boolean;
  grants?: Grant[];
}

export interface ConnectionTest {
  ok: boolean;
  error: string | null;
  models: string[];
  seconds: number;
}

export type ModelParams = Record<string, unknown>;

/** What is set about a model; null in the last six: nothing is. */
export interface ModelSettings {
  name: string;
  description: string;
  /** An emoji, or a picture as a data: address. */
  icon: string;
  enabled: boolean;
  visibility: 'inherited' | 'everyone' | 'granted';
  params: ModelParams;
  grants: Grant[];
  system: string | null;
  thinking: boolean | null;
  filter_ids: string[] | null;
  default_filter_ids: string[] | null;
  action_ids: string[] | null;
  capabilities: string[] | null;
}

export interface AdminModel extends ModelSettings {
  id: string;
  /** What its server calls it. */
  model_name: string;
  connection: string;
  context_length: number | null;
  state: 'ready' | 'loading' | 'unloaded' | 'error' | (string & {});
  error: string | null;
}

export interface Preset extends ModelSettings {
  id: string;
  base_id: string;
  owner_id: string | null;
}
/** Only administrators say who else sees a preset. */
export type PresetValues = Partial<ModelSettings> & { base_id: string };

export interface AdminFunction {
  id: string;
  type: 'filter' | 'pipe' | 'action' | (string & {});
  name: string;
  /** The frontmatter: title, author, version, description, requirements… */
  manifest: Record<string, string>;
  hooks: string[];
  toggle: boolean;
  has_valves: boolean;
  has_user_valves: boolean;
  active: boolean;
  is_global: boolean;
  priority: number;
  /** Why it does not load. */
  error: string | null;
  /** Its text, where one function was asked for. */
  content?: string;
}


export interface UsageRow {
  /** The user's id, the model's, or a day's first millisecond. */
  key?: string | number | null;
  name?: string;
  email?: string;
  answers: number;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  reasoning_tokens: number;
  duration_ms: number;
  ttft_ms: number | null;
}

export interface Usage {
  rows: UsageRow[];
  total: UsageRow;
}

/** A model at one moment. Rates: a second; null where they are not known yet. */
export interface LiveModel {
  name: string;
  state: 'loaded' | 'loading' | 'unloaded' | 'unloading' | 'sleeping' | (string & {});
  error: string | null;
  running: number;
  waiting: number;
  prompt_tokens_per_second: number | null;
  generation_tokens_per_second: number | null;
  /** Share of the cache that requests hold, 0 to 1. */
  cache_used: number;
  cache_tokens: number | null;
  /** Share of prompts' tokens since the server's start. */
  cache_hit_rate: number | null;
  restarts: number;
  /** Bytes reserved for weights and cache. */
  memory: number;
}

export interface LiveSample {
  at: number;
  /** Seconds. */
  uptime: number;
  models: LiveModel[];
  /** Bytes. */
  memory: { server: number | null; engine: number | null; total: number | null; available: number | null };
  /** Cores in use. */
  cpu: { server: number | null; engine: number | null; cores: number };
  users: { id: string; name: string; running: number; tokens_per_second: number | null }[];
}

export type LiveEvent = { type: 'history'; seconds: number; samples: LiveSample[] } | ({ type: 'sample' } & LiveSample);

export interface LogLine {
  /** Grows, also over restarts of the server. */
  seq: number;
  at: number;
  level: 'DEBUG' | 'INFO' | 'WARNING' | 'ERROR' | 'CRITICAL' | (string & {});
  source: 'server' | 'engine';
  text: string;
}

export type LogEvent = { type: 'hello'; kept: boolean } | { type: 'lines'; lines: LogLine[] };

/** Whether a model fits into memory. `text` is the server's sentence, `code` and `values` what it says. */
export interface Fit {
  verdict: 'yes' | 'tight' | 'no';
  code: string;
  text: string;
  values: Record<string, number | null | string[]>;
}

/** A model on the machine's disk, or served from it. Sizes in bytes. */
export interface HubModel {
  id: string;
  revision: string | null;
  path: string;
  source: 'catalog' | 'folder' | 'hub' | 'given';
  format: string;
  size: number | null;
  parameters: number | null;
  architecture: string | null;
  runner: string | null;
  context: number | null;
  state: 'loaded' | 'loading' | 'unloading' | 'unloaded' | 'sleeping' | 'disk' | 'missing';
  needs: number | null;
  held: number;
  fit: Fit | null;
  default: boolean;
  /** Served because an administrator said so. */
  offered: boolean;
  parent: string | null;
  answering: number;
  error: string | null;
  /** Name the sentence of the error, where it has one. */
  code: string | null;
  values: Record<string, string | number>;
  /** Why its files cannot be removed; null where they can. */
  kept: string | null;
}

export interface CatalogModel {
  name: string;
  description: string;
  licence: string;
  size: number;
  present: boolean;
  fit: Fit;
}

export interface HubMemory {
  total: number | null;
  available: number | null;
  used_by_models: number;
  limit: number | null;
  max_loaded: number | null;
  disk_free: number | null;
}

export interface HubOverview {
  models: HubModel[];
  catalog: CatalogModel[];
  memory: HubMemory;
  offline: boolean;
}

export interface Pull {
  id: string;
  model: string;
  revision: string | null;
  state: 'running' | 'done' | 'failed' | 'cancelled';
  /** What is being done, in the server's words. */
  file: string | null;
  bytes_done: number;
  bytes_total: number | null;
  seconds: number;
  message: string | null;
  error: string | null;
  /** Name the sentence of the error, where it has one. */
  code: string | null;
  values: Record<string, string | number>;
  /** What it is served by, once it is here. */
  name: string | null;
}

/** A backup that was uploaded and checked. */
export interface StagedBackup {
  id: string;
  /** Bytes. */
  size: number;
  created_at: number | null;
  version: string | null;
  users: number;
  chats: number;
  messages: number;
  files: number;
  /** Addresses of those who can sign in as administrators afterwards. */
  administrators: string[];
}

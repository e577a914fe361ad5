/** What the server sends and takes, as it writes it. */

export interface Me {
  id: string;
  name: string;
  email: string;
  role: 'admin' | 'user' | 'pending';
  settings: Record<string, unknown>;
  permissions: Record<string, boolean>;
  /** Nothing is served before a new password has been chosen. */
  password_expired: boolean;
}

export interface Config {
  name: string;
  version: string;
  /** The house's language: "en", "zh" or null for the browser's. */
  locale: string | null;
  signup: 'open' | 'approval' | 'invitation' | 'closed';
  setup_required: boolean;
  /** False: everybody who comes is the one user of the house. */
  auth: boolean;
  default_models: string[];
  /** What a model may make unasked; all off unless an administrator turned it on. */
  features: { follow_up_generation: boolean; autocomplete_generation: boolean };
  /** Of uploads: bytes of one file, files of one question. */
  limits: { file_bytes: number; files: number };
  user: Me | null;
}

export interface Model {
  id: string;
  name: string;
  context_length: number | null;
  capabilities: string[];
  state: 'ready' | 'loading' | 'unloaded' | 'error';
  error: string | null;
  description?: string | null;
  /** What it is asked with where a chat says nothing. */
  params?: Omit<Params, 'system'>;
  preset?: boolean;
  /** The model that a preset is made of. */
  base_id?: string | null;
  /** Functions that the reader may switch on for it. */
  filters?: Filter[];
  /** Buttons of functions under its answers. */
  actions?: Action[];
}

export interface Filter {
  id: string;
  name: string;
  /** A picture as a data: address, an emoji, or nothing. */
  icon: string;
  /** Whether it is on in a new chat. */
  default: boolean;
}

export interface Action {
  id: string;
  name: string;
  icon: string;
}

/** What the reader asked of the models in one chat; what is absent is the model's own default. */
export interface Params {
  system?: string;
  /** Whether the model thinks before it answers, where it can do both. */
  thinking?: boolean;
  temperature?: number;
  top_p?: number;
  top_k?: number;
  min_p?: number;
  presence_penalty?: number;
  frequency_penalty?: number;
  repetition_penalty?: number;
  max_tokens?: number;
  seed?: number;
  stop?: string[];
}

/** A chat as lists have it. */
export interface ChatSummary {
  id: string;
  title: string;
  folder_id: string | null;
  pinned: boolean;
  archived: boolean;
  tags: string[];
  /** Something is being answered in it now. */
  running: boolean;
  created_at: number;
  updated_at: number;
}

export interface Chat extends ChatSummary {
  leaf_id: string | null;
  models: string[];
  params: Params;
  /** Of the functions with a switch, those that are on. */
  filter_ids: string[];
  /** The id of its link, and when that was made or renewed. */
  share_id: string | null;
  shared_at: number | null;
}

export type ChatChanges = Partial<
  Pick<Chat, 'title' | 'folder_id' | 'pinned' | 'archived' | 'leaf_id' | 'models' | 'params' | 'filter_ids'>
>;

export interface Folder {
  id: string;
  parent_id: string | null;
  name: string;
  /** How many chats lie right in it, archived ones aside. */
  chats: number;
}

/** A message that was found, or a chat's title where message_id is null. */
export interface Hit {
  chat_id: string;
  title: string;
  archived: boolean;
  message_id: string | null;
  role: 'user' | 'assistant' | null;
  /** U+0001 before and U+0002 after each hit. */
  excerpt: string;
  updated_at: number;
}

export interface TextPart {
  type: 'text';
  text: string;
}
export interface ReasoningPart {
  type: 'reasoning';
  text: string;
  seconds?: number;
}
export interface ToolCallPart {
  type: 'tool_call';
  id: string;
  name: string;
  arguments: string;
  result?: unknown;
}
/** What a function says it is doing. */
export interface StatusPart {
  type: 'status';
  description: string;
  done: boolean;
  hidden: boolean;
  query?: unknown;
  urls?: unknown;
  count?: unknown;
}
/** What a function says its words are from. */
export interface SourcePart {
  type: 'source';
  name: string;
  url: string;
  document: unknown[];
  metadata: unknown[];
}
/** A page of a function's: its HTML, or its address. */
export interface EmbedPart {
  type: 'embed';
  html?: string;
  url?: string;
}
/** A file of the asker's, or, with an address instead, one that a function made. */
export interface FilePart {
  type: 'file';
  file_id: string | null;
  name?: string;
  /** As the first model that was asked counts them; null where it cannot. */
  tokens?: number | null;
  url?: string | null;
  media_type?: string;
}
export interface ImagePart {
  type: 'image';
  file_id: string;
  name?: string;
}
export type Part = TextPart | ReasoningPart | ToolCallPart | FilePart | ImagePart | StatusPart | SourcePart | EmbedPart;
/** What a question is made of. */
export type AskedPart = TextPart | FilePart | ImagePart;

export interface Usage {
  prompt_tokens?: number;
  completion_tokens?: number;
  prompt_tokens_details?: { cached_tokens?: number | null } | null;
}

export interface Timing {
  seconds: number;
  time_to_first_token?: number | null;
  tokens_per_second?: number | null;
  queue_time?: number | null;
  finish_reason?: string | null;
}

export interface Live {
  seconds: number;
  time_to_first_token: number | null;
  prompt_tokens: number | null;
  completion_tokens: number | null;
  cached_tokens: number | null;
  tokens_per_second: number | null;
}

export interface Fault {
  message: string;
  kind?: string;
  /** Names the sentence, with what stands in it. */
  code?: string;
  values?: Record<string, string | number>;
}

export interface Message {
  id: string;
  chat_id: string;
  parent_id: string | null;
  role: 'user' | 'assistant';
  model: string | null;
  status: 'streaming' | 'waiting' | 'done' | 'stopped' | 'failed';
  parts: Part[];
  usage: Usage | null;
  timing: Timing | null;
  error: Fault | null;
  rating: 1 | -1 | null;
  /** With which others it was asked for, and in which column it stands beside them. */
  group?: { id: string; column: number } | null;
  /** Questions that might come next, where a model made some. */
  follow_ups?: string[];
  created_at: number;
}

/** A message in its place in the tree. */
export interface PlacedMessage extends Message {
  /** All messages with its parent, in order of their making. */
  siblings: string[];
  /** The run that writes it now. */
  generation: string | null;
}

export interface MessagePage {
  messages: PlacedMessage[];
  /** All answers side by side with the last message, with their versions, that message among them. */
  beside: PlacedMessage[];
  more: boolean;
}

/** What a link to a chat shows. */
export interface SharedChat {
  share_id: string;
  title: string;
  owner: string;
  own: boolean;
  shared_at: number;
  messages: Omit<Message, 'chat_id' | 'rating'>[];
}

export interface Started {
  question: Message | null;
  generations: { id: string; message: Message; model: string }[];
}

export type GenerationEvent = { seq: number } & (
  | { type: 'start' | 'done'; message: Message }
  | { type: 'failed'; error: Fault; message: Message }
  | { type: 'delta'; part: number; kind: 'text' | 'reasoning'; text: string }
  | { type: 'part'; part: number; value: Part }
  | { type: 'replace'; parts: Part[] }
  | ({ type: 'live' } & Live)
);

export interface Session {
  id: string;
  created_at: number;
  last_used_at: number;
  user_agent: string;
  address: string;
  current: boolean;
}

export interface Key {
  id: string;
  name: string;
  prefix: string;
  created_at: number;
  last_used_at: number | null;
}

export type NoticeLevel = 'info' | 'success' | 'warning' | 'error';

/** A question of a function to the person at this tab. */
export type TabCall = { type: 'call'; id: string } & (
  | { kind: 'confirmation'; data: { title?: unknown; message?: unknown } }
  | { kind: 'input'; data: { title?: unknown; message?: unknown; placeholder?: unknown; value?: unknown; type?: unknown } }
  | { kind: 'execute'; data: { code?: unknown } }
);

/** What a tab is told outside of answers (GET api/events). */
export type TabEvent =
  /** The stream begins, at first or anew: what happened before is to be read from the server. */
  | { type: 'hello' }
  /** An answer in a chat begins or ends. */
  | { type: 'chat'; id: string; message_id: string; running: boolean }
  | { type: 'chats_changed' }
  /** An action changes an answer that was whole. */
  | { type: 'answer'; id: string; message_id: string; event: GenerationEvent }
  | { type: 'follow_ups'; id: string; message_id: string; follow_ups: string[] }
  | { type: 'notification'; level: NoticeLevel; text: string }
  | TabCall
  | { type: 'call_ended'; id: string }
  | { type: 'execute'; code: string };

/** The workspace's API, one function a route. All throw ApiError. */

import { call } from './request';
import type {
  AskedPart, Chat, ChatChanges, ChatSummary, Config, Folder, Hit, Key, Me, MessagePage, Model, Params, Session, SharedChat,
  Started,
} from './types';

const id = encodeURIComponent;
const query = (values: Record<string, string | number | boolean | undefined>): string => {
  const given = Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
  return new URLSearchParams(given).toString();
};

export const getConfig = () => call<Config>('GET', 'api/config');

export interface NewAccount {
  name: string;
  email: string;
  password: string;
}
export const setUp = (account: NewAccount) => call<Me>('POST', 'api/setup', account);
/** invitation: the token of a link that an administrator made. */
export const signUp = (account: NewAccount, invitation: string | null) =>
  call<Me>('POST', 'api/auth/signup', { ...account, ...(invitation === null ? {} : { invitation }) });
/** Whom an invitation is for; a null address means whoever has the link. */
export const getInvitation = (token: string) =>
  call<{ email: string | null; expires_at: number }>('GET', `api/invitations/${id(token)}`);
export const signIn = (email: string, password: string) => call<Me>('POST', 'api/auth/login', { email, password });
export const signOut = () => call<unknown>('POST', 'api/auth/logout');

export const changeMe = (changes: { name?: string; settings?: Record<string, unknown> }) =>
  call<unknown>('PATCH', 'api/me', changes);
export const changePassword = (current: string, fresh: string) =>
  call<unknown>('POST', 'api/me/password', { current, new: fresh });
export const listSessions = async () => (await call<{ sessions: Session[] }>('GET', 'api/me/sessions')).sessions;
export const endSession = (session: string) => call<unknown>('DELETE', `api/me/sessions/${id(session)}`);
export const listKeys = async () => (await call<{ keys: Key[] }>('GET', 'api/me/keys')).keys;
export const createKey = (name: string) => call<Key & { key: string }>('POST', 'api/me/keys', { name });
export const deleteKey = (key: string) => call<unknown>('DELETE', `api/me/keys/${id(key)}`);

export const listModels = async () => (await call<{ models: Model[] }>('GET', 'api/models')).models;

export interface ChatFilter {
  archived?: boolean;
  pinned?: boolean;
  /** An id, or "none" for chats in no folder. */
  folder?: string;
  tag?: string;
}
/** The newest chats, or those after an earlier page, whose `next` is the cursor. */
export const listChats = (where: ChatFilter & { cursor?: string; limit?: number } = {}) =>
  call<{ chats: ChatSummary[]; next: string | null }>('GET', `api/chats?${query({ ...where })}`);
export const getChat = (chat: string) => call<Chat>('GET', `api/chats/${id(chat)}`);
export const createChat = (values: ChatChanges) => call<Chat>('POST', 'api/chats', values);
export const changeChat = (chat: string, changes: ChatChanges) => call<Chat>('PATCH', `api/chats/${id(chat)}`, changes);
export const deleteChat = (chat: string) => call<unknown>('DELETE', `api/chats/${id(chat)}`);

export const listFolders = async () => (await call<{ folders: Folder[] }>('GET', 'api/folders')).folders;
export const createFolder = (values: { name: string; parent_id?: string | null }) =>
  call<Omit<Folder, 'chats'>>('POST', 'api/folders', values);
export const changeFolder = (folder: string, changes: { name?: string; parent_id?: string | null }) =>
  call<Omit<Folder, 'chats'>>('PATCH', `api/folders/${id(folder)}`, changes);
/** What it held moves up to where it was. */
export const deleteFolder = (folder: string) => call<unknown>('DELETE', `api/folders/${id(folder)}`);
export const listTags = async () => (await call<{ tags: { tag: string; chats: number }[] }>('GET', 'api/tags')).tags;
/** The tags as they are kept. */
export const setTags = async (chat: string, tags: string[]) =>
  (await call<{ tags: string[] }>('PUT', `api/chats/${id(chat)}/tags`, { tags })).tags;

export const search = async (q: string, signal: AbortSignal) =>
  (await call<{ hits: Hit[] }>('GET', `api/search?${query({ q })}`, undefined, signal)).hits;

/** Makes the link, or renews what it shows. */
export const shareChat = (chat: string) =>
  call<{ share_id: string; shared_at: number }>('POST', `api/chats/${id(chat)}/share`);
export const withdrawShare = (chat: string) => call<unknown>('DELETE', `api/chats/${id(chat)}/share`);
export const getShared = (share: string) => call<SharedChat>('GET', `api/shared/${id(share)}`);
export const copyShared = (share: string) => call<{ chat_id: string }>('POST', `api/shared/${id(share)}/copy`);

export type ExportFormat = 'json' | 'zip' | 'markdown' | 'openwebui';
/** Where the browser finds a chat, or all of them for null, as a file. */
export const exportAddress = (chat: string | null, format: ExportFormat) =>
  `api/${chat === null ? '' : `chats/${id(chat)}/`}export?${query({ format })}`;

/** The last `limit` messages (before `before`) of the branch that ends below `leaf`, or of the visible one. */
export const getMessages = (chat: string, where: { leaf?: string; before?: string; limit?: number } = {}) =>
  call<MessagePage>('GET', `api/chats/${id(chat)}/messages?${query(where)}`);
export const rateMessage = (message: string, rating: 1 | -1 | null) =>
  call<unknown>('PATCH', `api/messages/${id(message)}`, { rating });
export const deleteMessage = (message: string) => call<unknown>('DELETE', `api/messages/${id(message)}`);

export interface Question {
  parent_id: string | null;
  /** null: answer the message `parent_id` again. */
  parts: AskedPart[] | null;
  models: string[];
  params: Params;
  filter_ids?: string[];
  /** The answer among several side by side in whose place the new one stands. */
  version_of?: string;
  /** Instead of all this: the answer to go on writing. */
  continue_id?: string;
}
export const generate = (chat: string, question: Question) =>
  call<Started>('POST', `api/chats/${id(chat)}/generate`, question);
export const stopGeneration = (run: string) => call<unknown>('POST', `api/generations/${id(run)}/stop`);

/** Answers a question that a function asked this tab. */
export const answerCall = (question: string, value: unknown) =>
  call<unknown>('POST', `api/events/${id(question)}`, { value });

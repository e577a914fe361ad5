/** Functions as their users meet them. All throw ApiError. */

import { call } from './request';
import type { Message } from './types';

const id = encodeURIComponent;

/** Presses a button of a function's; gives the answer as it is then. */
export const runAction = async (chat: string, message: string, action: string) =>
  (await call<{ message: Message }>('POST', `api/chats/${id(chat)}/messages/${id(message)}/actions/${id(action)}`)).message;

/** Settings of a function: what there is to set, and what is set. Of secrets only the names of those that are set. */
export interface Valves {
  schema: unknown;
  values: Record<string, unknown>;
  secrets: string[];
}
export interface OwnFunction {
  id: string;
  name: string;
  type: string;
}
/** Those with settings of the reader's own. */
export const listOwnFunctions = async () => (await call<{ functions: OwnFunction[] }>('GET', 'api/functions')).functions;
export const getOwnValves = (name: string) => call<Valves>('GET', `api/functions/${id(name)}/user-valves`);
export const saveOwnValves = (name: string, values: Record<string, unknown>) =>
  call<Valves>('PUT', `api/functions/${id(name)}/user-valves`, { values });

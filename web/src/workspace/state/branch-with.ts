/** Reads the branch of a chat on which a message lies. */

import * as api from '../api';
import { ApiError } from '../api/request';
import type { MessagePage } from '../api/types';

const MORE = 500;

/**
 * The last `limit` messages of that branch, and as many more as it takes to have the message among them. Of the visible
 * branch without a message, or where it is gone. Throws ApiError.
 */
export async function branchWith(chat: string, message: string | undefined, limit: number): Promise<MessagePage> {
  if (message === undefined) return api.getMessages(chat, { limit });
  let page: MessagePage;
  try {
    page = await api.getMessages(chat, { leaf: message, limit });
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return api.getMessages(chat, { limit });
    throw error;
  }
  const leaf = page.messages.at(-1)?.id ?? message;
  for (let first = page.messages[0]; page.more && first && !page.messages.some((each) => each.id === message); first = page.messages[0]) {
    const earlier = await api.getMessages(chat, { leaf, before: first.id, limit: MORE });
    page = { ...page, messages: [...earlier.messages, ...page.messages], more: earlier.more };
  }
  return page;
}

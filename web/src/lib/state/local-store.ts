/** Keeps the conversation in this browser. */

import type { ChatStore, Conversation } from './conversation';

const KEY = 'pagoda.conversation';
const VERSION = 1;

export class LocalChatStore implements ChatStore {
  constructor(private readonly storage: Storage | null) {}

  async load(): Promise<Conversation | null> {
    const text = this.storage?.getItem(KEY);
    if (!text) return null;
    const kept = JSON.parse(text) as { version?: number; messages?: Conversation['messages'] };
    if (kept.version !== VERSION || !Array.isArray(kept.messages)) return null;
    // An answer that was arriving when the page closed has ended there.
    const messages = kept.messages.map((message) =>
      message.role === 'assistant' && message.status === 'streaming' ? { ...message, status: 'stopped' as const } : message,
    );
    return { messages };
  }

  async save({ messages }: Conversation): Promise<void> {
    if (!this.storage) throw new Error('This browser forbids storage.');
    this.storage.setItem(KEY, JSON.stringify({ version: VERSION, messages }));
  }
}

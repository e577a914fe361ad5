/** Where the messages of a chat are: on the server, or, of a temporary chat, in this page alone. */

import * as api from '../api';
import { generateTemporary } from '../api/asking';
import type { AskedPart, MessagePage, Part, PlacedMessage, Started } from '../api/types';
import type { ShownMessage } from './events';
import { besideOf } from './tree';

export interface PageOf {
  /** The branch that ends below this message; without it the visible one. */
  leaf?: string;
  before?: string;
  limit?: number;
}

/** What a chat's page asks of it. All calls throw ApiError. */
export interface ChatSource {
  page(where: PageOf): Promise<MessagePage>;
  generate(question: api.Question): Promise<Started>;
  rate(message: string, rating: 1 | -1 | null): Promise<unknown>;
  delete(message: string): Promise<unknown>;
  /** The branch that ends in this message is the visible one from now on. */
  showTo(leaf: string): Promise<unknown>;
  /** A message as it is after events of its answer. */
  note(message: ShownMessage): void;
}

/** A chat of the server's. */
export class StoredChat implements ChatSource {
  constructor(readonly id: string) {}

  page = (where: PageOf) => api.getMessages(this.id, where);
  generate = (question: api.Question) =>
    api.generate(this.id, { ...question, parts: question.parts && sendable({ role: 'user', parts: question.parts }) });
  rate = api.rateMessage;
  delete = api.deleteMessage;
  showTo = (leaf: string) => api.changeChat(this.id, { leaf_id: leaf });
  note(): void {
    // The server writes answers down by itself.
  }
}

/** A chat of which nothing is kept: the whole tree of its messages, in the order of their making. */
export class TemporaryChat implements ChatSource {
  private messages: PlacedMessage[] = [];
  private leaf: string | null = null;
  private made = 0;

  constructor(private readonly ask: typeof generateTemporary = generateTemporary) {}

  /** Files that were attached in it. */
  get files(): string[] {
    const found = this.messages.flatMap(({ parts }) => parts.flatMap((part) => ('file_id' in part && part.file_id) || []));
    return [...new Set(found)];
  }

  async page({ leaf, limit = Infinity }: PageOf): Promise<MessagePage> {
    let at = leaf === undefined ? this.leaf : this.lastBelow(leaf);
    const found: PlacedMessage[] = [];
    while (at !== null && found.length < limit) {
      const message = this.find(at);
      if (!message) break;
      found.unshift({ ...message, siblings: this.below(message.parent_id).map((each) => each.id) });
      at = message.parent_id;
    }
    const last = found.at(-1);
    return { messages: found, more: false, beside: last ? besideOf(last, this.messages) : [] };
  }

  async generate({ parent_id, parts, models, params, filter_ids = [], version_of }: api.Question): Promise<Started> {
    const question = parts && this.question(parent_id, parts);
    const branch = this.branch(question ?? (parent_id === null ? undefined : this.find(parent_id)));
    const started = await this.ask({
      messages: branch.map((message) => ({ role: message.role, parts: sendable(message) })),
      models,
      params,
      filter_ids,
    });
    if (question) this.messages.push(question);
    const parent = question?.id ?? parent_id;
    const place = version_of === undefined ? undefined : this.find(version_of)?.group;
    const generations = started.generations.map((run) => {
      const message = { ...run.message, ...(place ? { group: place } : {}), chat_id: '', parent_id: parent, created_at: Date.now(), rating: null };
      this.messages.push({ ...message, siblings: [], generation: run.id });
      return { ...run, message };
    });
    this.leaf = generations[0]?.message.id ?? parent;
    return { question, generations };
  }

  async rate(): Promise<void> {
    // There is nobody to tell.
  }

  async delete(message: string): Promise<void> {
    const parent = this.find(message)?.parent_id ?? null;
    const gone = new Set([message]);
    for (const each of this.messages) if (each.parent_id !== null && gone.has(each.parent_id)) gone.add(each.id);
    const wasShown = this.leaf !== null && gone.has(this.leaf);
    this.messages = this.messages.filter((each) => !gone.has(each.id));
    if (!wasShown) return;
    const other = this.below(parent).at(-1)?.id ?? parent;
    this.leaf = other === null ? null : this.lastBelow(other);
  }

  async showTo(leaf: string): Promise<void> {
    this.leaf = leaf;
  }

  note(message: ShownMessage): void {
    this.messages = this.messages.map((each) => (each.id === message.id ? { ...each, ...message } : each));
  }

  private question(parent: string | null, parts: AskedPart[]): PlacedMessage {
    return {
      id: `question-${++this.made}`,
      chat_id: '',
      parent_id: parent,
      role: 'user',
      model: null,
      status: 'done',
      parts,
      usage: null,
      timing: null,
      error: null,
      rating: null,
      created_at: Date.now(),
      siblings: [],
      generation: null,
    };
  }

  private find = (id: string) => this.messages.find((each) => each.id === id);
  private below = (parent: string | null) => this.messages.filter((each) => each.parent_id === parent);

  /** The newest end of what follows a message. */
  private lastBelow(id: string): string {
    const next = this.below(id).at(-1);
    return next ? this.lastBelow(next.id) : id;
  }

  private branch(last: PlacedMessage | undefined): PlacedMessage[] {
    const found: PlacedMessage[] = [];
    for (let at = last; at; at = at.parent_id === null ? undefined : this.find(at.parent_id)) found.unshift(at);
    return found;
  }
}

/** The parts as the server takes them: words and files, without what a model thought. */
function sendable({ role, parts }: { role: string; parts: readonly Part[] }): AskedPart[] {
  return parts.flatMap((part): AskedPart[] => {
    if (part.type === 'text') return [part];
    if (role !== 'user') return [];
    if (part.type === 'image') return [{ type: 'image', file_id: part.file_id }];
    return part.type === 'file' && part.file_id !== null ? [{ type: 'file', file_id: part.file_id }] : [];
  });
}

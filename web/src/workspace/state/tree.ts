/** The visible branch of a chat's tree of messages, and how it changes. */

import type { Message, Started } from '../api/types';
import type { ShownMessage } from './events';

/** Where a message is among the versions of it: from 1. */
export function versionOf(message: ShownMessage): { at: number; of: number } {
  return { at: message.siblings.indexOf(message.id) + 1, of: message.siblings.length };
}

/** The version before or after this one; null at either end. */
export function neighbour(message: ShownMessage, step: -1 | 1): string | null {
  const at = message.siblings.indexOf(message.id);
  return at < 0 ? null : (message.siblings[at + step] ?? null);
}

/** The branch without what follows `parent`; nothing of it for null. */
export function upTo(branch: readonly ShownMessage[], parent: string | null): ShownMessage[] {
  if (parent === null) return [];
  const at = branch.findIndex((message) => message.id === parent);
  return branch.slice(0, at + 1);
}

/** The versions that a new message joins: those of the branch's message with its parent. */
function versions(branch: readonly ShownMessage[], parent: string | null, fresh: readonly string[]): string[] {
  const known = branch.find((message) => message.parent_id === parent)?.siblings ?? [];
  return [...known, ...fresh.filter((id) => !known.includes(id))];
}

/** The branch once the server has taken a question, or begun to answer one again; and the answers side by side. */
export function begun(
  branch: readonly ShownMessage[],
  started: Started,
): { branch: ShownMessage[]; answers: ShownMessage[] } {
  const ids = started.generations.map((run) => run.message.id);
  const parent = started.generations[0]?.message.parent_id ?? null;
  let shown: ShownMessage[];
  let siblings: string[];
  if (started.question) {
    const question = placed(started.question, versions(branch, started.question.parent_id, [started.question.id]), null);
    shown = [...upTo(branch, question.parent_id), question];
    siblings = ids;
  } else {
    shown = upTo(branch, parent);
    siblings = versions(branch, parent, ids);
  }
  const answers = started.generations.map((run) => placed(run.message, siblings, run.id));
  return { branch: answers[0] ? [...shown, answers[0]] : shown, answers };
}

const placed = (message: Message, siblings: string[], generation: string | null): ShownMessage => ({
  ...message,
  siblings,
  generation,
});

/** Answers that were asked for together lie so close in time; one that was asked for again lies further off. */
const TOGETHER_MS = 1000;

/** Of an answer's versions those that were asked for together with it, each of another model. */
export function askedTogether(answer: ShownMessage, siblings: readonly ShownMessage[]): ShownMessage[] {
  const together = siblings.filter((each) => Math.abs(each.created_at - answer.created_at) < TOGETHER_MS);
  const models = new Set(together.map((each) => each.model));
  return together.length > 1 && models.size === together.length ? together : [];
}

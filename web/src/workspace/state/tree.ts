/** The visible branch of a chat's tree of messages, and how it changes. */

import type { Message, Started } from '../api/types';
import type { ShownMessage } from './events';

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

/** Of these messages the answers side by side with this one, itself among them; none where it was asked for alone. */
export function besideOf<Some extends Message>(answer: Some, messages: readonly Some[]): Some[] {
  const { group, parent_id } = answer;
  return group ? messages.filter((each) => each.parent_id === parent_id && each.group?.id === group.id) : [];
}

/** The answers side by side once further ones have begun: another version joins its column. */
export function joined(columns: readonly ShownMessage[], begun: readonly ShownMessage[]): ShownMessage[] {
  const [first] = begun;
  if (!first?.group) return [];
  const others = columns.filter((each) => each.group?.id === first.group?.id && begun.every(({ id }) => id !== each.id));
  const all = [...others, ...begun];
  return all.length > 1 ? all : [];
}

/** Answers side by side, a column for each; in it its versions in the order of their making. */
export function columnsOf(answers: readonly ShownMessage[]): ShownMessage[][] {
  const columns = new Map<number, ShownMessage[]>();
  for (const answer of [...answers].sort((a, b) => a.created_at - b.created_at)) {
    const column = answer.group?.column ?? 0;
    columns.set(column, [...(columns.get(column) ?? []), answer]);
  }
  return [...columns].sort(([a], [b]) => a - b).map(([, versions]) => versions);
}

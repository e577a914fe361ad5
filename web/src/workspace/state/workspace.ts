/** The parts of the workspace, made once and handed down to the components. */

import { getContext, setContext } from 'svelte';
import { Diagrams } from '../../lib/markdown/diagrams';
import { Highlighter } from '../../lib/markdown/highlight';
import { Typesetter } from '../../lib/markdown/typeset';
import { Preferences } from '../../lib/state/preferences.svelte';
import { provideShared } from '../../lib/state/shared';
import { browserStorage } from '../../lib/state/storage';
import { ApiError } from '../api/request';
import { Navigation } from '../routing/navigation.svelte';
import { Calls } from './calls.svelte';
import { ChatList } from './chat-list.svelte';
import { Choices } from './choices.svelte';
import { sentenceOf } from './faults';
import { Filters } from './filters.svelte';
import { Folders } from './folders.svelte';
import { Models } from './models.svelte';
import { Notices } from './notices.svelte';
import { Prompts } from './prompts.svelte';
import { Session } from './session.svelte';
import { TabEvents } from './tab-events.svelte';
import { Talk } from './talk.svelte';
import { View } from './view.svelte';

export interface Workspace {
  readonly preferences: Preferences;
  readonly session: Session;
  readonly navigation: Navigation;
  readonly chats: ChatList;
  readonly models: Models;
  readonly talk: Talk;
  readonly prompts: Prompts;
  readonly choices: Choices;
  /** Functions that the reader switches on and off for a chat. */
  readonly filters: Filters;
  /** Questions of functions to the reader. */
  readonly calls: Calls;
  readonly view: View;
  /** What the server tells this tab outside of answers. */
  readonly tabEvents: TabEvents;
  /** Short news at the edge of the page. */
  readonly notices: Notices;
  /** Shows what went wrong; a session that has ended leads to the way in. */
  readonly fault: (error: unknown) => void;
  /** Does something, and shows what goes wrong. */
  readonly attempt: (act: () => Promise<unknown>) => void;
  /** Goes elsewhere; asks first where the open chat is a temporary one that has begun, and would be gone. */
  readonly leave: (go: () => void) => void;
}

const CONTEXT = Symbol('workspace');

/** Makes the workspace and gives it to every component below the caller. */
export function provideWorkspace(): Workspace {
  const local = browserStorage('localStorage');
  const preferences = new Preferences(local);
  const session = new Session(preferences);
  const chats = new ChatList(new Folders(local));
  const view = new View();
  const fault = (error: unknown): void => {
    if (error instanceof ApiError && error.status === 401) session.ended();
    else view.fault = sentenceOf(error, preferences.t);
  };
  const talk: Talk = new Talk({
    onchat: (chat) => chats.put(chat),
    onfault: fault,
    filters: () => filters.on,
  });
  const models = new Models(local);
  const notices = new Notices();
  const tabEvents = new TabEvents({ onended: () => session.ended(), busy: () => talk.busy });
  tabEvents.on('notification', ({ level, text }) => notices.add(level, text));
  tabEvents.on('hello', () => void talk.refresh()); // what was told before anybody listened
  tabEvents.on('follow_ups', ({ message_id, follow_ups }) => talk.takeFollowUps(message_id, follow_ups));
  const choices = new Choices(talk, models, session, fault);
  const filters: Filters = new Filters(talk, models, choices, fault);
  tabEvents.on('answer', ({ message_id, event }) => talk.takeOutside(message_id, event));
  const attempt = (act: () => Promise<unknown>): void => {
    view.fault = null;
    act().catch(fault);
  };
  const leave = (go: () => void): void => {
    if (!talk.temporary || (talk.branch.length === 0 && talk.sending === null)) return go();
    view.drawer = false;
    view.confirmation = {
      title: preferences.t('temporary.leave.title'),
      text: preferences.t('temporary.leave.text'),
      does: 'temporary.leave.do',
      act: () => Promise.resolve(go()),
    };
  };
  provideShared({ preferences, highlighter: new Highlighter(), typesetter: new Typesetter(), diagrams: new Diagrams() });
  return setContext(CONTEXT, {
    preferences,
    session,
    navigation: new Navigation(),
    chats,
    models,
    talk,
    prompts: new Prompts(),
    choices,
    filters,
    calls: new Calls(tabEvents, fault),
    view,
    tabEvents,
    notices,
    fault,
    attempt,
    leave,
  });
}

export function useWorkspace(): Workspace {
  return getContext<Workspace>(CONTEXT);
}

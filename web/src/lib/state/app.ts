/** The parts of the application, made once and handed down to the components. */

import { getContext, setContext } from 'svelte';
import { Diagrams } from '../markdown/diagrams';
import { Highlighter } from '../markdown/highlight';
import { Typesetter } from '../markdown/typeset';
import { Chat } from './chat.svelte';
import { LocalChatStore } from './local-store';
import { Preferences } from './preferences.svelte';
import { Server } from './server.svelte';
import { provideShared } from './shared';
import { browserStorage } from './storage';
import { View } from './view.svelte';

export interface App {
  readonly preferences: Preferences;
  readonly server: Server;
  readonly chat: Chat;
  readonly view: View;
  readonly highlighter: Highlighter;
}

const CONTEXT = Symbol('app');

/** Makes the application and gives it to every component below the caller. */
export function provideApp(): App {
  const local = browserStorage('localStorage');
  const preferences = new Preferences(local);
  const server = new Server(browserStorage('sessionStorage'));
  const chat = new Chat(new LocalChatStore(local), server, preferences);
  const highlighter = new Highlighter();
  provideShared({ preferences, highlighter, typesetter: new Typesetter(), diagrams: new Diagrams() });
  return setContext(CONTEXT, { preferences, server, chat, view: new View(), highlighter });
}

export function useApp(): App {
  return getContext<App>(CONTEXT);
}

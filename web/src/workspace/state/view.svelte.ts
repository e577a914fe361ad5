/** What is open on the page right now. Nothing of it is kept. */

import type { MessageKey } from '../../lib/i18n';

/** Dialogs by the names that ui/Dialogs.svelte knows. */
export type DialogName = 'account' | 'presets' | 'prompts' | 'shortcuts';

export interface Confirmation {
  title: string;
  text: string;
  does: MessageKey;
  act: () => Promise<void>;
}

export class View {
  dialog: DialogName | null = $state(null);
  confirmation: Confirmation | null = $state.raw(null);
  /** The sidebar over the page, on narrow windows. */
  drawer: boolean = $state(false);
  panel: boolean = $state(false);
  picker: boolean = $state(false);
  /** The question being edited. */
  editing: string | null = $state(null);
  /** Counts up each time the message field should take the focus. */
  focusComposer: number = $state(0);
  /** A sentence about what went wrong, until the reader has seen it. */
  fault: string | null = $state(null);
}

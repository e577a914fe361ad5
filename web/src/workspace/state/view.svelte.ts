/** What is open on the page right now. Nothing of it is kept. */

import type { MessageKey } from '../../lib/i18n';
import type { ChatSummary, Folder } from '../api/types';

/** Dialogs by the names that ui/Dialogs.svelte knows. */
export type DialogName =
  | 'account' | 'presets' | 'prompts' | 'shortcuts' | 'search' | 'move' | 'tags' | 'share' | 'export' | 'import';

export interface Confirmation {
  title: string;
  text: string;
  does: MessageKey;
  act: () => Promise<void>;
}

/** What a dialog is about; a null chat means all of them. */
export type Subject = { chat: ChatSummary | null } | { folder: Folder };

export class View {
  dialog: DialogName | null = $state(null);
  subject: Subject | null = $state.raw(null);
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

  open(dialog: DialogName, subject: Subject): void {
    this.subject = subject;
    this.dialog = dialog;
  }
}

/** What is open on the page right now. Nothing of it is kept. */

export type DialogName = 'settings' | 'shortcuts' | 'key';

export class View {
  dialog: DialogName | null = $state(null);
  /** The sidebar over the page, on narrow windows. */
  drawer: boolean = $state(false);
  parameters: boolean = $state(false);
  /** The last question is being edited. */
  editing: boolean = $state(false);
  /** Counts up each time the message field should take the focus. */
  focusComposer: number = $state(0);
}

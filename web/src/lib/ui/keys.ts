/**
 * The key belongs to an input method: it chooses or confirms characters and must do nothing else. `isComposing` says so in
 * most browsers; Safari ends the composition before the key event and leaves only the code 229.
 */
export function isConfirmingInput(event: KeyboardEvent): boolean {
  return event.isComposing || event.keyCode === 229;
}

/** What was typed into a field is not settled yet: an input method is still at it. */
export const composing = (event: Event): boolean => event instanceof InputEvent && event.isComposing;

/** The key goes into a field, so it is no shortcut of one letter. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName);
}

/** What the key of shortcuts is called on this machine. */
export const controlName = (): string => (/Mac|iPhone|iPad/.test(navigator.userAgent) ? '⌘' : 'Ctrl');

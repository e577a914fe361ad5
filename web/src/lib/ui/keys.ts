/**
 * The key belongs to an input method: it chooses or confirms characters and must do nothing else. `isComposing` says so in
 * most browsers; Safari ends the composition before the key event and leaves only the code 229.
 */
export function isConfirmingInput(event: KeyboardEvent): boolean {
  return event.isComposing || event.keyCode === 229;
}

/** The key goes into a field, so it is no shortcut of one letter. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName);
}

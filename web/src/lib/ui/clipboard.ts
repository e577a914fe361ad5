/** Puts text on the clipboard. False where the browser refuses. */
export async function copyText(text: string): Promise<boolean> {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Refused, or the page lost the focus: the old way may still do.
    }
  }
  // navigator.clipboard does not exist on plain http, where a service on a private network often lives.
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'hidden-visually';
  const focused = document.activeElement;
  document.body.append(area);
  area.select();
  try {
    return document.execCommand('copy');
  } finally {
    area.remove();
    if (focused instanceof HTMLElement) focused.focus();
  }
}

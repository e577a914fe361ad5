/** Calls back before the next paint; in a tab that is not shown, where none comes, after a short while. Gives a cancel. */
export function nextFrame(callback: () => void): () => void {
  if (document.hidden) {
    const timer = setTimeout(callback, 100);
    return () => clearTimeout(timer);
  }
  // A tab hidden before its frame comes would wait for ever, so a timer stands behind it.
  let timer: ReturnType<typeof setTimeout> | undefined = undefined;
  const frame = requestAnimationFrame(() => {
    clearTimeout(timer);
    callback();
  });
  timer = setTimeout(() => {
    cancelAnimationFrame(frame);
    callback();
  }, 250);
  return () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
  };
}

/** Does something as soon as an element comes near to being seen: the next page of a list is there before its end. */

import type { Attachment } from 'svelte/attachments';

export function whenSeen(act: () => void): Attachment<HTMLElement> {
  return (element) => {
    const observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && act(), {
      rootMargin: '400px',
    });
    observer.observe(element);
    return () => observer.disconnect();
  };
}

/** English sentences about plugin functions and the news at the page's edge. */

export const en = {
  notices: 'Notifications',
  'notices.close': 'Close the notification',
  'notices.info': 'Note:',
  'notices.success': 'Done:',
  'notices.warning': 'Warning:',
  'notices.error': 'Error:',
} satisfies Record<string, string | { one: string; other: string }>;

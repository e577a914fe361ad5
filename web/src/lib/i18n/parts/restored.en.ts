/** After a backup was restored. */
export const en = {
  'entry.restored': 'The backup is back. Sign in with an account and the password that were true when it was made.',
} as const;

/** What a house allows an answer. */
export const en = {
  'limits.atOnce': 'As many answers are being written for you as this house allows at once. Send it again when one has ended.',
  'limits.time': 'The answer took as long as this house allows and was ended here.',
} as const;

/** What a house allows an answer. */
export const en = {
  'limits.time': 'The answer took as long as this house allows and was ended here.',
} as const;

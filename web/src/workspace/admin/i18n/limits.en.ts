/** Settings of how long an answer may become. */

export const en = {
  'settings.group.answers': 'Answers',
  'settings.group.answers.text': 'For answers in chats. Programs that call /v1 have limits of their own.',
  'setting.PAGODA_MAX_ANSWER_TOKENS': 'Most tokens of an answer',
  'setting.PAGODA_MAX_ANSWER_TOKENS.hint': 'Empty: as many as the context has room for. Whoever reads the answer can let it go on.',
  'setting.PAGODA_MAX_ANSWER_MINUTES': 'Most minutes of an answer',
  'setting.PAGODA_MAX_ANSWER_MINUTES.hint': 'Empty: as long as it takes. Waiting for the model counts; what is written until then is kept.',
  'setting.PAGODA_USER_STORAGE': 'Megabytes of files for each user',
  'setting.PAGODA_USER_STORAGE.hint': '0: as many as the disk has room for. Files that no message speaks of any more are removed after a day.',
  'setting.PAGODA_AUDIT_DAYS': 'Days that the audit log is kept',
  'setting.PAGODA_AUDIT_DAYS.hint': 'Older entries are removed. Figures of usage stay.',
  'setting.PAGODA_MAX_ANSWERS_AT_ONCE': 'Answers at once for each user',
  'setting.PAGODA_MAX_ANSWERS_AT_ONCE.hint': 'Models that answer side by side count one each.',
} as const;

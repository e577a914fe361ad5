/** What the message field asks of the list of prompts above it. */

export interface PromptChooser {
  /** Whether the list took the key. */
  keydown: (event: KeyboardEvent) => boolean;
}

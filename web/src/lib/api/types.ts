/** The shapes of the OpenAI-compatible API that this page reads and writes. */

export interface ModelCard {
  id: string;
  /** Tokens that prompt and answer may fill together; null where the server does not say. */
  contextLength: number | null;
}

export interface PromptMessage {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

export interface Sampling {
  temperature: number | null;
  topP: number | null;
  maxTokens: number | null;
}

/** The counts of the final usage record. They come from the engine and are never estimated here. */
export interface Usage {
  promptTokens: number;
  completionTokens: number;
  /** Prompt tokens found in the prefix cache; null where the server does not say. */
  cachedTokens: number | null;
}

/** The engine's own times, in seconds; each may be missing with other servers. */
export interface EngineMetrics {
  timeToFirstToken: number | null;
  generationTime: number | null;
  queueTime: number | null;
  tokensPerSecond: number | null;
}

/** One step of a streamed answer. */
export interface ChatDelta {
  content: string;
  reasoning: string;
  finishReason: string | null;
  usage: Usage | null;
  metrics: EngineMetrics | null;
}

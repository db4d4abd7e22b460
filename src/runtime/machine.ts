/** The machine as far as it decides how fast a program runs. */
export interface Machine {
  readonly cpu: string;
  /** Cores this process may use. */
  readonly cores: number;
  readonly memoryBytes: number;
  /** Operating system and instruction set: linux-x64. */
  readonly platform: string;
}

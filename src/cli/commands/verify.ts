/** idat verify: holds idat's numbers against stored ones of the authors' code. */
import { Command } from 'commander';
import { verify } from '../../verify/index.js';

export const verifyReference = new Command('verify')
  .description('hold the numbers idat computes against stored references')
  .argument('<reference-dir>', 'folder of the references');

import { testFidelity } from './run-fidelity.ts';

testFidelity('mysql-9.7');

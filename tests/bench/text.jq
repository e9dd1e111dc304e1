# Numbers as text, for tables.

def right($n): tostring | (" " * ($n - length) // "") + .;
def left($n): tostring | . + (" " * ($n - length) // "");
def grouped: tostring | [while(length > 0; .[:-3]) | .[-3:]] | reverse | join(",");
# with $n digits
def fixed($n): . * pow(10; $n) | round | tostring
	| if $n == 0 then . else ("0" * ($n + 1 - length) // "") + .
		| .[:-$n] + "." + .[-$n:] end;

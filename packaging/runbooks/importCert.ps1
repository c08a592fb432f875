<#
.SYNOPSIS
Imports a signed certificate and serves HTTPS with it from the next connection on.

.DESCRIPTION
For a node in WSL on Windows. Not tried on Windows yet: only the syntax has been checked.

.PARAMETER certName
File in the folder that generateCsr.ps1 named; the extension .crt may be left out.

.EXAMPLE
.\importCert.ps1 -certName mcc-node1
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true)][string] $certName,
    [Alias('RunTimeAccountName', 'RunTimeAccount')][string] $mccRunTimeAccount,
    [System.Management.Automation.PSCredential] $mccLocalAccountCredential
)

Import-Module (Join-Path $PSScriptRoot 'Larder.Runbooks.psm1') -Force

exit (Invoke-LarderRunbook -Name 'importCert.sh' -Arguments @('-certName', $certName) `
    -Account $mccRunTimeAccount -Credential $mccLocalAccountCredential)

<#
.SYNOPSIS
Shows the certificate that is served now: thumbprint, names, dates.

.DESCRIPTION
For a node in WSL on Windows. Not tried on Windows yet: only the syntax has been checked.

.EXAMPLE
.\ShowCertDetails.ps1
#>
[CmdletBinding()]
param(
    [Alias('RunTimeAccountName', 'RunTimeAccount')][string] $mccRunTimeAccount,
    [System.Management.Automation.PSCredential] $mccLocalAccountCredential
)

Import-Module (Join-Path $PSScriptRoot 'Larder.Runbooks.psm1') -Force

exit (Invoke-LarderRunbook -Name 'ShowCertDetails.sh' -Account $mccRunTimeAccount -Credential $mccLocalAccountCredential)
